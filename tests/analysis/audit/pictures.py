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


def _cut(image: Image.Image, *shares: float) -> Image.Image:
    """Without these shares of its width and height: left, above, right, below."""
    left, above, right, below = (round(image.width * share) for share in shares)
    return image.crop((left, above, image.width - right, image.height - below))


def _turned(image: Image.Image) -> Image.Image:
    """By two degrees, and cut to where there is no black."""
    return _cut(image.rotate(2, Image.Resampling.BICUBIC), *[0.035] * 4)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "halved": lambda image: image.resize((image.width // 2, image.height // 2)),
    "stretched": lambda image: image.resize((image.width * 2, image.height)),
    "JPEG of quality 50": _as_jpeg,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "flatter": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "cut by 1% left and above": lambda image: _cut(image, 0.01, 0.01, 0, 0),
    "cut by 3%": lambda image: _cut(image, *[0.03] * 4),
    "cut by 5%": lambda image: _cut(image, *[0.05] * 4),
    "cut by 5% left and above": lambda image: _cut(image, 0.05, 0.05, 0, 0),
    "cut by 3%, then JPEG": lambda image: _as_jpeg(_cut(image, *[0.03] * 4)),
    "turned by 2 degrees": _turned,
    "cut by 3% and mirrored": lambda image: _cut(image, *[0.03] * 4).transpose(
        Image.Transpose.FLIP_LEFT_RIGHT
    ),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}
"""What becomes of an image on its way through other people's hands, each still the same image."""
