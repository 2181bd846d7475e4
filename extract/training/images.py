"""The images of one split as tensors, and how they are changed at random while training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from warehouse.catalogue import DatasetInfo
from warehouse.errors import LayerhouseError
from warehouse.images import open_image


@dataclass(frozen=True)
class Images:
    """Preprocessed images [n, 3, size, size] and their class indices [n]."""

    pixels: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.classes)


def read_images(info: DatasetInfo, split: str, processor: Any) -> Images:
    """All images of one split, preprocessed; held in memory, since tiny models see small images."""
    rows = info.samples.filter(info.samples["split"] == split)
    if rows.is_empty():
        raise LayerhouseError(
            "a tiny model needs images in the splits train and val; of a dataset with folds give "
            "it a --share"
        )
    pixels = [
        processor.image_processor([open_image(uri) for uri in part["uri"]], return_tensors="pt")
        for part in rows.iter_slices(256)
    ]
    return Images(
        torch.cat([part["pixel_values"] for part in pixels]),
        torch.tensor(rows["class_index"].to_list()),
    )


def augmented(pixels: Tensor, how: str, generator: torch.Generator) -> Tensor:
    """Each image of a batch [n, 3, size, size] changed at random as `Recipe.augment` says."""
    if how == "none":
        return pixels
    n, size = len(pixels), pixels.shape[-1]

    def some() -> Tensor:
        return torch.rand(n, 1, 1, 1, generator=generator) < 0.5

    if how in ("flip", "turn"):
        pixels = torch.where(some(), pixels.flip(-1), pixels)
    if how == "turn":
        pixels = torch.where(some(), pixels.flip(-2), pixels)
        pixels = torch.where(some(), pixels.transpose(-1, -2), pixels)
    reach = size // 16
    room = nn.functional.pad(pixels, (reach,) * 4, mode="replicate")
    corners = torch.randint(0, 2 * reach + 1, (n, 2), generator=generator).tolist()
    return torch.stack(
        [image[:, y : y + size, x : x + size] for image, (y, x) in zip(room, corners, strict=True)]
    )
