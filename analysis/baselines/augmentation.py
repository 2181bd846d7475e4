"""Random small changes of training images that leave their class alone."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

TURN = 10.0  # degrees, either way
ZOOM = 0.15  # of the side, in and out
SHIFT = 0.08  # of the side, either way
CONTRAST = 0.2  # of the contrast, either way
BRIGHTNESS = 0.2  # in standard deviations of the train pixels, either way

SETTINGS = {
    "turn": TURN,
    "zoom": ZOOM,
    "shift": SHIFT,
    "contrast": CONTRAST,
    "brightness": BRIGHTNESS,
}


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Standardised images [n, 3, side, side], each turned, zoomed, shifted and re-lit at random.

    Nothing is mirrored: digits, and organs that lie on one side, are not the same in a mirror.
    Numbers are drawn on the CPU, so that a seed means the same changes on every device.
    """
    n = len(images)
    noise = torch.rand(n, 6, generator=generator).mul_(2).sub_(1).to(images.device)
    angle = noise[:, 0] * math.radians(TURN)
    scale = 1 + noise[:, 1] * ZOOM
    rows = torch.stack(
        [
            torch.stack([scale * angle.cos(), -scale * angle.sin(), noise[:, 2] * 2 * SHIFT], 1),
            torch.stack([scale * angle.sin(), scale * angle.cos(), noise[:, 3] * 2 * SHIFT], 1),
        ],
        dim=1,
    )
    grid = affine_grid(rows, list(images.shape), align_corners=False)
    moved = grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    contrast = (1 + noise[:, 4] * CONTRAST)[:, None, None, None]
    return moved * contrast + (noise[:, 5] * BRIGHTNESS)[:, None, None, None]
