"""Geometry of a locus: how many directions its vectors use, and how they change along the way."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.measures.measure import Measure, Tables, Work, add_measure, place
from warehouse.lake import Lake
from warehouse.progress import Progress

MOST_SAMPLES = 2000
"""Train samples a locus is measured on at most: spectra and distances are cubic and quadratic."""


def add_geometry(
    lake: Lake, model_id: str, dataset_id: str, *, progress: Progress | None = None
) -> int:
    """Fill `locus_geometry` from the train samples of every locus; returns at how many it did.
    Under folds, where nothing is scored by what is described here, from all samples.

    More than MOST_SAMPLES are thinned evenly. `cka_to_previous` compares with the locus before that
    was read the same way in the same module; the first has none.
    """
    last: dict[tuple[str, str], Tensor] = {}

    def compute(work: Work) -> Tables:
        mine = slice(None) if work.samples.folds is not None else work.samples.rows("train")
        chosen = np.arange(len(work.samples.ids))[mine]
        chosen = chosen[thinned(len(chosen))]
        labels = work.samples.class_index[chosen]
        rows = []
        for cell, vectors in zip(work.cells, work.vectors, strict=True):
            features = vectors[chosen].double()
            gram = centred_gram(features)
            before = last.get((cell.module, cell.readout))
            rows.append(
                place(work, cell)
                | {
                    "n_samples": len(chosen),
                    "effective_rank": effective_rank(gram),
                    "intrinsic_dimension": intrinsic_dimension(gram),
                    "class_separability": class_separability(features, labels),
                    "cka_to_previous": None if before is None else linear_cka(before, gram),
                }
            )
            last[cell.module, cell.readout] = gram
        return {"locus_geometry": rows}

    measure = Measure(
        "probe-geometry", "locus_geometry", {"most_samples": MOST_SAMPLES}, compute, True
    )
    return add_measure(lake, model_id, dataset_id, measure, progress)


def thinned(n: int, most: int = MOST_SAMPLES) -> NDArray[np.int64]:
    """At most so many indexes below n, evenly spread: [min(n, most)]."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def centred_gram(features: Tensor) -> Tensor:
    """Inner products of vectors (n, width) around their mean: fp64 (n, n)."""
    centred = features.double() - features.double().mean(dim=0)
    return centred @ centred.T


def effective_rank(gram: Tensor) -> float:
    """How many directions the vectors use: exp of the entropy of their normalised singular values.

    Roy & Vetterli 2007, "The effective rank: a measure of effective dimensionality". Between 1 and
    the rank; 0 for vectors that are all the same. gram: (n, n), as `centred_gram` gives it.
    """
    squares = torch.linalg.eigvalsh(gram).clamp_min(0)
    values = torch.where(squares > 1e-12 * squares.max(), squares, 0.0).sqrt()
    if float(values.sum()) <= 0:
        return 0.0
    share = values / values.sum()
    return float(torch.special.entr(share).sum().exp())


def linear_cka(left: Tensor, right: Tensor) -> float | None:
    """Similarity of two loci on the same samples, from their centred Gram matrices (n, n): 0 to 1.

    Kornblith et al. 2019, "Similarity of neural network representations revisited":
    ‖YᵀX‖² / (‖XᵀX‖ · ‖YᵀY‖), the same whatever rotation or one scale is applied to either. None
    where one of the two does not vary.
    """
    norm = float(left.norm() * right.norm())
    return float((left * right).sum()) / norm if norm > 0 else None


def intrinsic_dimension(gram: Tensor) -> float | None:
    """Dimension of the surface the vectors lie on, from the ratio of each one's two nearest.

    Facco et al. 2017, "Estimating the intrinsic dimension of datasets by a minimal neighborhood
    information" (TwoNN), as its maximum-likelihood estimate n / Σ ln(r₂/r₁). Vectors that occur
    twice count once; None with fewer than three different ones, or if all ratios are one.
    gram: (n, n).
    """
    squares = gram.diagonal()
    distance = (squares[:, None] + squares[None] - 2 * gram).clamp_min(0)
    twin = distance <= 1e-12 * squares.max().clamp_min(1e-300)
    kept = ~torch.tril(twin, diagonal=-1).any(dim=1)
    distance = distance[kept][:, kept].sqrt()
    if len(distance) < 3:
        return None
    distance.fill_diagonal_(torch.inf)
    near = distance.topk(2, largest=False).values
    spread = float((near[:, 1] / near[:, 0]).log().sum())
    return len(near) / spread if spread > 0 else None


def class_separability(features: Tensor, labels: Sequence[int] | NDArray[np.int64]) -> float | None:
    """Scatter between the classes over scatter within them: trace(S_b) / trace(S_w).

    Fisher's criterion for several classes in its trace form (Fukunaga 1990, "Introduction to
    statistical pattern recognition", chapter 10). 0 where all class means agree; None where no
    class varies.
    """
    values = features.double()
    classes = torch.as_tensor(np.asarray(labels))
    mean = values.mean(dim=0)
    between = within = 0.0
    for label in classes.unique():
        own = values[classes == label]
        between += len(own) * float((own.mean(dim=0) - mean).square().sum())
        within += float((own - own.mean(dim=0)).square().sum())
    return between / within if within > 0 else None
