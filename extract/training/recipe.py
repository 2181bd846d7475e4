"""Recipes: how large a tiny model is and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from warehouse.catalogue import DatasetInfo

AUGMENTATIONS = ("none", "shift", "flip", "turn")


@dataclass(frozen=True)
class Recipe:
    """How a tiny model is built and trained; the defaults suit a few hundred to thousand images.

    `augment`: shift moves an image by up to 1/16 of its side, flip adds mirror images, turn adds
    quarter turns as well. `spread` is the standard deviation of the decoder's initial weights:
    at the usual 0.02 so small a decoder needs three times the epochs.
    """

    epochs: int = 30
    seed: int = 0
    image_size: int = 64
    patch_size: int = 8
    width: int = 64
    layers: int = 4
    heads: int = 4
    spread: float = 0.08
    augment: str = "flip"
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warm_up: float = 0.05


def suggested_recipe(info: DatasetInfo, **overrides: Any) -> Recipe:
    """A recipe for a dataset by the size of its images.

    Thumbnails of at most 32 pixels (characters, say, which no mirror leaves alone) are seen at 32
    and shifted; larger images are seen at 64 and mirrored too.
    """
    longest = max(info.samples["width"].max(), info.samples["height"].max())  # type: ignore[type-var]
    small = longest <= 32  # type: ignore[operator]
    base = {"image_size": 32, "augment": "shift"} if small else {}
    return Recipe(**{**base, **overrides})
