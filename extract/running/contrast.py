"""Contrast: how far black lies from white in what a model is given of an image."""

from __future__ import annotations

import torch
from PIL import Image, ImageOps

from extract.models import Session

# Towers were trained on 1 to 5. Values that were scaled twice lie within hundredths, those that
# were not scaled at all hundreds apart.
CONTRAST = (0.2, 30.0)


def odd_contrast(session: Session, size: tuple[int, int]) -> list[str]:
    """A line where the processor's settings make numbers of a picture that no tower is used to, of
    which everything behind it would be measured all the same."""
    picture = Image.new("RGB", size, "white")
    picture.paste("black", (0, 0, size[0], max(size[1] // 2, 1)))
    one, other = (session.encode([shown]) for shown in (picture, ImageOps.invert(picture)))
    contrasts = [
        float((value - other[name]).abs().max())
        for name, value in one.items()
        if "pixel" in name and torch.is_tensor(value) and value.is_floating_point()
    ]
    low, high = CONTRAST
    contrast = next((found for found in contrasts if not low < found < high), None)
    if contrast is None:
        return []
    return [
        f"black and white lie {contrast:.3g} apart in what the model is given of an image, where "
        "towers are used to 1 to 5: pixels are scaled twice or not at all; look at do_rescale, "
        "rescale_factor, image_mean and image_std in the processor's file"
    ]
