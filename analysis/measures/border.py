"""What of the vision tower's states passes the border to the language model.

Probes of the class see little of it: connectors that look inert to them change about half of every
image's nearest neighbours (Li et al. 2025, "Lost in embeddings: information loss in vision-language
models"). Three descriptions of one readout before and behind the connector: who is near whom,
linear similarity, and how well a linear map brings the states back. Nothing is diagnosed from them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.bootstrap import bootstrap_weights, fold_widening, weighted_means
from analysis.measures.geometry import MOST_SAMPLES, thinned
from analysis.measures.measure import QUERIES, read_groups
from analysis.probes import Samples, read_cells, read_vectors
from analysis.queries import read_query
from warehouse.catalogue import Warehouse, open_tables
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake, RunSpec, RunWriter, exclusive
from warehouse.progress import Progress
from warehouse.vocabulary import CONNECTOR, N_RESAMPLES, SPLITS, VISION, Cell

COMMAND = "probe-border"
NEIGHBOURS = 10
PENALTIES = tuple(10.0**power for power in range(-6, 4))
HALVES = 200
Z = 1.959964
"""Of a 95% interval."""

Groups = NDArray[np.object_]


class Between(NamedTuple):
    """A number with its 95% interval."""

    point: float
    lower: float
    upper: float

    def widened(self, factor: float) -> Between:
        """So many times as wide about its point."""
        bounds = (self.point + factor * (one - self.point) for one in (self.lower, self.upper))
        return Between(self.point, *bounds)


def add_border(
    lake: Lake, model_id: str, dataset_id: str, *, progress: Progress | None = None
) -> int:
    """Fill `border_fidelity` for every readout that was taken on both sides of the border: after
    the last layer of the vision tower that matters, and behind the connector.

    Returns at how many loci something was added. Neighbours and similarity are of all splits, more
    than MOST_SAMPLES are thinned evenly, as are those of each split for the reconstruction, which
    under folds is out of fold, by the first repetition. Raises LayerhouseError where no readout was
    taken on both sides, and for fewer than two test groups.
    """
    settings = {"most_samples": MOST_SAMPLES, "neighbours": NEIGHBOURS}
    with exclusive(lake, COMMAND, model_id, dataset_id) as looked, open_tables(lake) as wh:
        widths, samples = read_cells(wh, model_id, dataset_id)
        pairs = _pairs(wh, model_id, set(widths))
        stated = settings | {"samples": samples.fingerprint}
        done = _stored(wh, model_id, dataset_id, stated)
        missing = [pair for pair in pairs if pair[0].readout not in done]
        groups = np.array(read_groups(wh, dataset_id, samples), dtype=object)
        config = {"settings": stated, "loci": [str(cell) for pair in pairs for cell in pair]}
        spec = RunSpec(COMMAND, model_id, dataset_id, config)
        with RunWriter(lake, spec, looked) as writer:
            for number, pair in enumerate(missing, start=1):
                before, behind = (
                    read_vectors(wh, model_id, dataset_id, [cell], samples)[0] for cell in pair
                )
                row = {
                    "model_id": model_id,
                    "dataset_id": dataset_id,
                    "readout": pair[0].readout,
                    "vision_layer": pair[0].layer,
                    **fidelity(before, behind, samples, groups),
                }
                covers = {"loci": [str(cell) for cell in pair]}
                writer.commit({"border_fidelity": [row]}, covers=covers)
                if progress is not None:
                    progress(number, len(missing))
            if writer.committed:
                writer.finish()
    return 2 * len(missing)


def _pairs(wh: Warehouse, model_id: str, cells: set[Cell]) -> list[tuple[Cell, Cell]]:
    """The cells before and behind the border, one pair per readout, by its name."""
    ends = dict(wh.sql(read_query(QUERIES, "module_ends"), {"model": model_id}).fetchall())
    found = [
        (Cell(VISION, ends[VISION], cell.readout), cell)
        for cell in sorted(cells)
        if VISION in ends and cell[:2] == (CONNECTOR, ends.get(CONNECTOR))
    ]
    found = [pair for pair in found if pair[0] in cells]
    if not found:
        raise LayerhouseError(
            f"no readout of {model_id} was taken both at the end of its vision tower and behind "
            "its connector; extract both modules with the readouts mean or grid"
        )
    return found


def _stored(wh: Warehouse, model_id: str, dataset_id: str, settings: Mapping[str, Any]) -> set[str]:
    """The readouts that are stored under the same settings; other settings are replaced."""
    names = {"model": model_id, "dataset": dataset_id}
    rows = wh.sql(read_query(QUERIES, "border_fidelity"), names).fetchall()
    return {readout for readout, config in rows if json.loads(config)["settings"] == settings}


def fidelity(before: Tensor, behind: Tensor, samples: Samples, groups: Groups) -> dict[str, Any]:
    """The columns of `border_fidelity`; states before and behind the border are (n, widths)."""
    some = thinned(len(samples.ids))
    own = groups[some]
    shared, k, chance = shared_neighbours(before[some], behind[some], own)
    overlap = _mean(shared[None], own)
    alike = similarity(before[some], behind[some], own)
    fits = _rotations(samples, some)
    penalties, lost = zip(
        *(reconstruct([(behind[rows], before[rows]) for rows in fit]) for fit in fits), strict=True
    )
    tested = np.concatenate([fit[2] for fit in fits])
    if len(set(groups[tested])) < 2:
        raise LayerhouseError(
            "all test samples are of one group; the fidelity of a border needs two test groups for "
            "an interval"
        )
    kept = _mean(np.hstack(lost), groups[tested], of_ratio=True)
    if samples.folds is not None:
        kept = kept.widened(fold_widening(len(set(groups[tested]))))
    return {
        "n_samples": len(some),
        "n_groups": len(set(own)),
        "n_neighbours": k,
        "neighbour_overlap": overlap.point,
        "overlap_lower": overlap.lower,
        "overlap_upper": overlap.upper,
        "overlap_chance": chance,
        "cka": None if alike is None else alike.point,
        "cka_lower": None if alike is None else alike.lower,
        "cka_upper": None if alike is None else alike.upper,
        "n_train": max(len(fit[0]) for fit in fits),
        "n_test": len(tested),
        "penalty": float(np.median(penalties)),
        "reconstruction": kept.point,
        "reconstruction_lower": kept.lower,
        "reconstruction_upper": kept.upper,
    }


def _rotations(samples: Samples, some: NDArray[np.int64]) -> list[list[NDArray[np.int64]]]:
    """The places that each fit of the reconstruction is trained on, chooses on and is tested on:
    a split's one, or one per fold of `some` samples."""
    if samples.folds is not None:
        every, rotations = np.arange(len(samples.ids)), samples.rotations(0)
        return [[np.intersect1d(every[part], some) for part in rotation] for rotation in rotations]
    parts = [samples.rows(split) for split in SPLITS]
    return [[np.arange(part.start, part.stop)[thinned(part.stop - part.start)] for part in parts]]


def shared_neighbours(
    before: Tensor, behind: Tensor, groups: Groups
) -> tuple[NDArray[np.float64], int, float]:
    """The share [n] of each sample's nearest neighbours that are the same on both sides, how many
    were compared, and what unrelated states would share.

    Neighbours (Euclidean) are of other groups: images of one patient are near each other anywhere.
    """
    codes = torch.from_numpy(np.unique(groups.astype(str), return_inverse=True)[1])
    same = codes[:, None] == codes[None]
    others = len(codes) - same.sum(dim=1)
    k = min(NEIGHBOURS, int(others.min()))
    if k < 1:
        raise LayerhouseError("all samples are of one group; neighbours are those of other groups")
    near = [
        torch.zeros_like(same).scatter_(1, _nearest(side, same, k), True)
        for side in (before, behind)
    ]
    shared = (near[0] & near[1]).sum(dim=1).double() / k
    return shared.numpy(), k, float((k / others.double()).mean())


def _nearest(states: Tensor, barred: Tensor, k: int) -> Tensor:
    centred = states.double() - states.double().mean(dim=0)
    return (
        torch.cdist(centred, centred).masked_fill_(barred, torch.inf).topk(k, largest=False).indices
    )


def similarity(before: Tensor, behind: Tensor, groups: Groups) -> Between | None:
    """Debiased linear CKA with an interval; None where one side does not vary.

    The deviation is that of random halves of the groups, which is as large as that of the whole: a
    bootstrap would count drawn-twice samples as pairs that are alike. One half never has fewer than
    two groups.
    """
    grams = [states.double() @ states.double().T for states in _centred(before, behind)]
    whole = debiased_cka(*grams)
    names, codes = np.unique(groups.astype(str), return_inverse=True)
    if whole is None or len(names) < 4:
        return None if whole is None else Between(whole, whole, whole)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(HALVES):
        drawn = rng.permutation(len(names))[: len(names) // 2]
        rows = torch.from_numpy(np.flatnonzero(np.isin(codes, drawn)))
        found.append(debiased_cka(*(gram[rows][:, rows] for gram in grams)))
    apart = np.array([one - whole for one in found if one is not None])
    margin = Z * float(np.sqrt((apart**2).mean())) if len(apart) else 0.0
    return Between(whole, whole - margin, min(whole + margin, 1.0))


def _centred(*sides: Tensor) -> list[Tensor]:
    """Far from the origin inner products lose their digits."""
    return [side.double() - side.double().mean(dim=0) for side in sides]


def debiased_cka(left: Tensor, right: Tensor) -> float | None:
    """Linear CKA from unbiased estimates of HSIC and Gram matrices (n, n): 0 for unrelated states.

    Song et al. 2012, "Feature selection via dependence maximization", for HSIC; Nguyen, Raghu and
    Kornblith 2021, "Do wide and deep networks learn the same things?", for CKA. The plain estimate
    of `locus_geometry` nears 1 where vectors are wider than samples are many. None for fewer than
    four samples and where one side does not vary.
    """
    if len(left) < 4:
        return None
    square = _hsic(left, left) * _hsic(right, right)
    scale = float(left.diagonal().mean() * right.diagonal().mean())
    if square <= 1e-20 * scale**2:
        return None
    return min(1.0, float(_hsic(left, right) / square**0.5))


def _hsic(left: Tensor, right: Tensor) -> float:
    n = len(left)
    one, other = (gram - torch.diag(gram.diagonal()) for gram in (left, right))
    sums, others = one.sum(dim=0), other.sum(dim=0)
    total = float((one * other).sum())
    total += float(sums.sum() * others.sum()) / ((n - 1) * (n - 2))
    total -= 2 * float(sums @ others) / (n - 2)
    return total / (n * (n - 3))


def reconstruct(splits: list[tuple[Tensor, Tensor]]) -> tuple[float, NDArray[np.float64]]:
    """Ridge regression of the states before from those behind, each number standardised by train:
    the penalty that is best on val, and [2, n test] squared errors and squares.

    splits: (behind, before) of train, val and test, each (n, width). Solved in the samples' space,
    so that width costs nothing but products.
    """
    (given, wanted), *rest = splits
    spread = wanted.double().std(dim=0)
    varies = spread > 1e-6 * spread.max().clamp_min(1e-300)
    if not bool(varies.any()) or float(spread.max()) == 0:
        raise LayerhouseError("the states at the end of the vision tower are the same everywhere")
    inputs, targets = _standard(given, given), _standard(wanted, wanted)[:, varies]
    squares, basis = torch.linalg.eigh(inputs @ inputs.T)
    squares, turned = squares.clamp_min(0), basis.T @ targets
    strength = float(squares.mean())

    def errors(penalty: float, seen: Tensor, truth: Tensor) -> Tensor:
        weights = turned / (squares + penalty * max(strength, 1e-300))[:, None]
        return (truth - (seen @ inputs.T @ basis) @ weights).square().sum(dim=1)

    (val, val_truth), (test, test_truth) = (
        (_standard(x, given), _standard(y, wanted)[:, varies]) for x, y in rest
    )
    best = min(PENALTIES, key=lambda penalty: float(errors(penalty, val, val_truth).sum()))
    lost = torch.stack([errors(best, test, test_truth), test_truth.square().sum(dim=1)])
    return best, lost.numpy()


def _standard(states: Tensor, train: Tensor) -> Tensor:
    """Standardised by train's mean and deviation; what does not vary in train is zero."""
    told = train.double()
    spread = told.std(dim=0)
    scale = torch.where(spread > 1e-6 * spread.max().clamp_min(1e-300), 1 / spread, 0.0)
    return (states.double() - told.mean(dim=0)) * scale


def _mean(values: NDArray[np.float64], groups: Groups, *, of_ratio: bool = False) -> Between:
    """The mean of the first row over samples, or 1 − first / second, with bootstrap bounds over
    groups: values [1 or 2, n]."""
    weights, index = bootstrap_weights(groups, N_RESAMPLES, 0)
    means = weighted_means(values, weights, index)
    drawn = 1 - means[:, 0] / means[:, 1] if of_ratio else means[:, 0]
    point = 1 - values[0].sum() / values[1].sum() if of_ratio else values[0].mean()
    lower, upper = np.quantile(drawn, [0.025, 0.975])
    return Between(float(point), float(lower), float(upper))
