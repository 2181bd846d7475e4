"""Pictures whose copies are known: all alike as chest X-rays are, each with details of its own."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance

SIDE = 192


def alike(n: int, seed: int = 0, side: int = SIDE) -> list[Image.Image]:
    """`n` different grey pictures of one anatomy: half of what is in them is the same in all."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[0:1:24j, 0:1:24j]
    chest = np.exp(-(((down - 0.5) / 0.5) ** 4)) * (1 - np.exp(-(((across - 0.5) / 0.15) ** 2)))
    found = []
    for _ in range(n):
        own = sum(
            rng.normal() / (1 + i + j) * np.cos(np.pi * i * down) * np.cos(np.pi * j * across)
            for i in range(9)
            for j in range(9)
            if i + j
        )
        grey = 110 + 70 * chest + 13 * own + rng.normal(0, 4, chest.shape)
        small = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
        found.append(small.resize((side, side), Image.Resampling.BICUBIC).convert("RGB"))
    return found


def _as_jpeg(image: Image.Image) -> Image.Image:
    stored = io.BytesIO()
    image.save(stored, "JPEG", quality=50)
    return Image.open(stored).convert("RGB")


def _cut(image: Image.Image) -> Image.Image:
    """Two pixels less on the left and above."""
    return image.crop((2, 2, image.width, image.height))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "halved": lambda image: image.resize((image.width // 2, image.height // 2)),
    "stretched": lambda image: image.resize((image.width * 2, image.height)),
    "JPEG of quality 50": _as_jpeg,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "flatter": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "cut by two pixels": _cut,
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}
"""What becomes of an image on its way through other people's hands, each still the same image."""
