"""Model folders with other weights in them, for tests of what is refused and what is noticed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Weights = dict[str, torch.Tensor]


def weight_name(weights: Weights, ending: str) -> str:
    """A checkpoint's own name of a weight: transformers keeps an older layout on disk."""
    return next(name for name in weights if name.endswith(ending))


def edit_weights(folder: Path, edit: Callable[[Weights], Any]) -> None:
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
