"""Folders of states as other programs leave them, and small lakes that they are brought to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from extract.states import StateOptions, StateSummary, import_states
from tests.warehouse.small_lakes import DATASET, add_dataset
from warehouse.catalogue import open_tables
from warehouse.lake.lake import Lake

SAMPLES = ("s0", "s1", "s2", "s3")
CELLS = (
    *(("vision", 0, "mean"), ("vision", 0, "grid")),
    *(("connector", 0, "mean"), ("llm", 0, "last"), ("llm", 7, "last")),
)
WIDTH = 3
IMAGE = 9
"""The token that stands for the image."""


def small_lake(path: Path, n: int = 4) -> Lake:
    lake = Lake.at(path)
    add_dataset(lake, n)
    return lake


def drawn(samples: Sequence[str], cell: tuple[str, int, str]) -> NDArray[np.float32]:
    """Numbers that tell a cell and a sample, and are the same in every type of 16 bits."""
    width = WIDTH * (4 if cell[2] == "grid" else 1)
    place = 8 * CELLS.index(cell)
    return np.array(
        [[place + int(name[1:]) + i / 2 for i in range(width)] for name in samples], np.float32
    )


def pooled(
    folder: Path, samples: Sequence[str] = SAMPLES, dtype: torch.dtype = torch.float32, **more: Any
) -> dict[str, Any]:
    """A folder of pooled states in one file for each module; returns what its manifest says."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, dict[str, torch.Tensor]] = {}
    loci = []
    for module, layer, readout in CELLS:
        name = f"{layer}-{readout}"
        values = torch.from_numpy(drawn(samples, (module, layer, readout))).to(dtype)
        tensors.setdefault(f"{module}.safetensors", {})[name] = values
        locus = {"module": module, "layer": layer, "readout": readout}
        loci.append(locus | {"file": f"{module}.safetensors", "tensor": name})
    for file, held in tensors.items():
        save_file(held, folder / file)
    return manifest(folder, {"samples": list(samples), "loci": loci, **more})


def requests(folder: Path, layers: Sequence[int] = (1, 8), **more: Any) -> dict[str, Any]:
    """A folder as vLLM's connector leaves it: of sample n the states of n + 3 tokens, the image's
    being all but the first and last; token t of layer l is (l, t, n)."""
    folder.mkdir(parents=True, exist_ok=True)
    by_file = {}
    for n, name in enumerate(SAMPLES):
        states = torch.zeros(n + 3, len(layers), WIDTH, dtype=torch.bfloat16)
        for at, layer in enumerate(layers):
            states[:, at, 0] = layer
            states[:, at, 1] = torch.arange(n + 3)
            states[:, at, 2] = n
        tokens = torch.tensor([1, *[IMAGE] * (n + 1), 2])
        save_file({"hidden_states": states, "token_ids": tokens}, folder / f"cmpl-{n}.safetensors")
        by_file[f"cmpl-{n}.safetensors"] = name
    said = {"layers": list(layers), "requests": by_file} | {"image_token_id": IMAGE} | more
    return manifest(folder, {"vllm": {k: v for k, v in said.items() if v is not None}})


def manifest(folder: Path, said: dict[str, Any]) -> dict[str, Any]:
    (folder / "manifest.json").write_text(json.dumps(said))
    return said


def bring(lake: Lake, folder: Path, model: str = "friend", **options: Any) -> StateSummary:
    return import_states(lake, folder, model, DATASET, StateOptions(**options))


def held(lake: Lake, model: str = "friend") -> Mapping[tuple[str, int, str], Any]:
    """By cell the sample ids and vectors that a lake has of a model."""
    with open_tables(lake) as wh:
        cells = wh.sql(
            "SELECT DISTINCT module, layer, readout FROM activation WHERE model_id = $1 "
            "ORDER BY ALL",
            [model],
        ).fetchall()
        return {cell: wh.vectors(model, DATASET, *cell) for cell in cells}
