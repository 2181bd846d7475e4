"""What a folder of states holds: its manifest, its samples, files of each locus or readout."""

from __future__ import annotations

from typing import Any

MANIFEST = "manifest.json"
SAMPLES = "samples.parquet"
KIND, VERSION = "layerhouse-states", 1
"""What a manifest says it is of, and the number of its form."""

SAFETENSORS, NPY, HF = FORMATS = ("safetensors", "npy", "hf")


def is_ours(said: Any) -> bool:
    """Whether a manifest is one that an export wrote."""
    return isinstance(said, dict) and said.get("kind") == KIND
