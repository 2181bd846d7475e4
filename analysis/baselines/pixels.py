"""Pixels with logistic regression: the plainest baseline, on the probes' own solver."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from analysis.baselines.architectures import Architecture, Options, Plan
from analysis.baselines.images import LabelledImages, Trained
from analysis.probes import LabelledVectors, fit_linear, weights_for

MAX_SIDE = 32

SETTINGS: dict[str, Any] = {"max_side": MAX_SIDE}


def plan(architecture: Architecture, options: Options) -> Plan:
    """What `layerhouse baseline` is to do; UsageError for an option of deep networks."""
    options.refuse_for(architecture)
    return Plan(architecture.name, SETTINGS, train_pixels)


def train_pixels(images: LabelledImages, seed: int) -> Trained:
    """Images as squares, standardised per pixel, penalty chosen on val as for a probe.

    The side is 32 pixels, or that of the largest image where all are smaller; one channel where
    all images are grey.
    """
    del seed  # nothing here is random
    side = min(MAX_SIDE, images.largest_side)

    def square(image: Image) -> NDArray[np.uint8]:
        return np.asarray(image.resize((side, side), Resampling.BILINEAR))

    pixels = np.stack(images.each(square))
    if (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    features = torch.from_numpy(pixels.reshape(len(pixels), -1).astype(np.float32))
    labels = torch.from_numpy(images.class_index)
    train, val = (
        LabelledVectors(features[None, rows], shown, weights_for(images.score, shown))
        for rows in (images.rows["train"], images.rows["val"])
        for shown in [labels[None, rows]]
    )
    fits = fit_linear(train, val, features[None, images.rows["test"]], images.n_classes)
    return Trained(
        val_logits=fits.val_logits[0, 0],
        test_logits=fits.test_logits[0, 0],
        chosen={
            "C": float(f"{fits.penalty[0, 0]:.6g}"),
            "side": side,
            "channels": pixels.shape[-1],
        },
    )
