"""Texture with a support vector machine: what a task allows without any deep training.

Histograms of oriented gradients (Dalal & Triggs 2005) at two cell sizes and rotation-invariant
uniform local binary patterns (Ojala et al. 2002) at three scales, pooled over the whole image and
over 2×2 and 3×3 parts of it.
"""

from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image, Resampling
from skimage.feature import hog, local_binary_pattern
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from analysis.baselines.architectures import Architecture, Options, Plan
from analysis.baselines.images import SIDES, LabelledImages, Trained
from analysis.logits import widen
from analysis.metrics import log_loss
from analysis.probes import weighed_mean
from warehouse.vocabulary import ACCURACY, SPLITS

HOG_CELLS = (8, 4)  # cells along a side
LBP_SCALES = ((8, 1), (16, 2), (24, 3))  # points, radius in pixels
LBP_GRIDS = (1, 2, 3)
GAMMAS = (0.1, 0.3, 1.0, 3.0)
CANDIDATES: tuple[dict[str, Any], ...] = (
    *({"kernel": "rbf", "gamma": g, "C": c} for g, c in product(GAMMAS, (1, 3, 10, 30))),
    *({"kernel": "linear", "C": c} for c in (0.3, 1, 3, 10)),
)
TEMPERATURES = np.logspace(-1, 1.5, 26)

SETTINGS: dict[str, Any] = {
    "sides": list(SIDES),
    "hog_cells": list(HOG_CELLS),
    "lbp_scales": [list(scale) for scale in LBP_SCALES],
    "lbp_grids": list(LBP_GRIDS),
    "candidates": list(CANDIDATES),
}


def plan(architecture: Architecture, options: Options) -> Plan:
    """What `layerhouse baseline` is to do; UsageError for an option of deep networks."""
    options.refuse_for(architecture)
    return Plan(architecture.name, SETTINGS, train_texture)


def train_texture(images: LabelledImages, seed: int) -> Trained:
    """Grey images as squares; kernel, its width and C are chosen by the score on val, ties early.

    The logits are the machine's one-versus-rest margins times one factor that minimises the log
    loss on val, so that the softmax is calibrated there and the order of classes is untouched.
    """
    del seed  # nothing here is random
    descriptions = images.each(partial(_describe, side=images.side))
    blocks = [np.stack(block) for block in zip(*descriptions, strict=True)]
    train, val, test = (images.rows[split] for split in SPLITS)
    features = _balanced(blocks, train)
    truth = images.class_index
    geometry = _Geometry.of(features, train)
    best = max(
        (_fit(geometry, candidate, images) for candidate in CANDIDATES),
        key=lambda fitted: fitted.val_score,
    )
    seen = best.machine.classes_
    factor = _factor(best.margins[val], truth[val], seen)
    val_logits, test_logits = (
        widen(factor * best.margins[rows], seen, images.n_classes) for rows in (val, test)
    )
    chosen = {**best.candidate, "side": images.side, "margin_factor": round(factor, 6)}
    return Trained(val_logits, test_logits, chosen)


@dataclass(frozen=True)
class _Geometry:
    """Inner products and squared distances of all samples to those of train: [n, n train]."""

    products: NDArray[np.float64]
    distances: NDArray[np.float64]

    @classmethod
    def of(cls, features: NDArray[np.float64], train: NDArray[np.intp]) -> "_Geometry":
        """Of features [n, width]; train: the rows [n train] that are trained on."""
        products = features @ features[train].T
        norms = np.square(features).sum(1)
        return cls(products, (norms[:, None] + norms[train] - 2 * products).clip(min=0))

    def kernel(self, candidate: dict[str, Any]) -> NDArray[np.float64]:
        """The candidate's kernel of all samples with those of train: [n, n train]."""
        if candidate["kernel"] == "linear":
            return self.products
        return np.exp(-candidate["gamma"] * self.distances)


@dataclass(frozen=True)
class _Fitted:
    machine: SVC
    candidate: dict[str, Any]
    margins: NDArray[np.float64]
    val_score: float


def _fit(geometry: _Geometry, candidate: dict[str, Any], images: LabelledImages) -> _Fitted:
    """One machine; all candidates share what the kernels are made of."""
    train, val = images.rows["train"], images.rows["val"]
    truth, kernel = images.class_index, geometry.kernel(candidate)
    weigh = None if images.score == ACCURACY else "balanced"
    machine = SVC(kernel="precomputed", C=candidate["C"], break_ties=True, class_weight=weigh)
    machine.fit(kernel[train], truth[train])
    margins = _margins(machine, kernel)
    named = machine.classes_[margins[val].argmax(1)]
    right = torch.from_numpy(named == truth[val]).double()
    return _Fitted(machine, candidate, margins, float(weighed_mean(right, images.weights("val"))))


def _describe(image: Image, side: int) -> tuple[NDArray[np.float64], ...]:
    """One image as blocks of features: oriented gradients per cell size, patterns per scale."""
    grey = np.asarray(image.convert("L").resize((side, side), Resampling.BILINEAR))
    gradients = [
        hog(grey, 9, (side // cells,) * 2, (2, 2), block_norm="L2-Hys") for cells in HOG_CELLS
    ]
    patterns = [_patterns(grey, points, radius) for points, radius in LBP_SCALES]
    return (*gradients, np.concatenate(patterns))


def _patterns(grey: NDArray[np.uint8], points: int, radius: int) -> NDArray[np.float64]:
    """Square roots of pattern shares, whose distances are Hellinger's, over all parts."""
    codes = local_binary_pattern(grey, points, radius, "uniform").astype(np.int64)
    parts = [
        part
        for grid in LBP_GRIDS
        for row in np.array_split(codes, grid)
        for part in np.array_split(row, grid, axis=1)
    ]
    shares = [np.bincount(part.ravel(), minlength=points + 2) / part.size for part in parts]
    return np.sqrt(np.concatenate(shares))


def _balanced(blocks: list[NDArray[np.float64]], train: NDArray[np.intp]) -> NDArray[np.float64]:
    """Blocks standardised on train and scaled so that each counts the same: mean norm 1 in all."""
    scaled = [
        StandardScaler().fit(block[train]).transform(block) / (block.shape[1] * len(blocks)) ** 0.5
        for block in blocks
    ]
    return np.concatenate(scaled, axis=1)


def _margins(machine: SVC, kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """One margin per class [n, classes of train]; two classes share one margin, ± half of it."""
    margins = machine.decision_function(kernel)
    return margins if margins.ndim == 2 else np.stack([-margins / 2, margins / 2], axis=1)


def _factor(
    margins: NDArray[np.float64], labels: NDArray[np.int64], seen: NDArray[np.int64]
) -> float:
    """What to multiply margins by for the lowest log loss, over the classes train showed."""
    known = np.isin(labels, seen)
    if not known.any():
        return 1.0
    place = np.searchsorted(seen, labels[known])
    losses = log_loss(place, TEMPERATURES[:, None, None] * margins[known])
    return float(TEMPERATURES[losses.argmin()])
