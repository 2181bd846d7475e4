"""Whether intervals of out-of-fold accuracies hold what they promise, where the truth is known.

    python -m bench.bench_folds [--sets N] [--folds K] [--uneven] [--workers N]

Draws sets of labelled vectors at two loci, of which the later one shows the class less well, in
groups of one class whose samples look alike; probes them by folds, four repetitions, as `layerhouse
probe` does (with ridge regression in the place of logistic regression, which takes a hundredth of
the time); and counts how often intervals hold the truth: the expected accuracy of each locus and of
the loss between them, which is their mean over all sets. Printed for the plain bootstrap over
groups and for its intervals as `layerhouse diagnose` widens them. Sets whose classes are uneven
(`--uneven`: those alone) are scored by balanced accuracy, as they are by default, and probed with
classes that weigh alike.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.bootstrap import bootstrap_weights, fold_widening, stratified_means
from analysis.probes import weights_for
from warehouse.catalogue import make_folds, rotate
from warehouse.vocabulary import ACCURACY, BALANCED_ACCURACY, N_REPETITIONS

PENALTIES = 10.0 ** np.arange(-1, 4)
N_RESAMPLES = 400
QUANTITIES = ("before", "after", "loss")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Where sets are drawn from: their size, and how far apart the classes lie at both loci."""

    n_samples: int
    n_classes: int
    group_size: int = 1
    width: int = 32
    strengths: tuple[float, float] = (1.2, 1.0)
    shares: tuple[float, ...] | None = None
    """How large the classes are; None: all alike."""

    @property
    def likeness(self) -> float:
        """The share of a sample's noise that its whole group has."""
        return 0.3 if self.group_size > 1 else 0.0

    def draw(self, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
        """Vectors [2 loci, n samples, width], classes and groups [n samples]."""
        sizes = 1 + rng.poisson(self.group_size - 1, self.n_samples)
        groups = np.repeat(np.arange(self.n_samples), sizes)[: self.n_samples]
        if self.shares is None:
            classes = rng.integers(self.n_classes, size=self.n_samples)[groups]
        else:
            classes = rng.choice(self.n_classes, size=self.n_samples, p=self.shares)[groups]
        means = np.eye(self.n_classes, self.width)[classes]
        both = rng.standard_normal((self.n_samples, self.width))
        alike = rng.standard_normal((self.n_samples, self.width))[groups]
        vectors = []
        for strength in self.strengths:
            own = rng.standard_normal((self.n_samples, self.width))
            noise = np.sqrt(0.7) * both + np.sqrt(0.3) * own
            noise = np.sqrt(1 - self.likeness) * noise + np.sqrt(self.likeness) * alike
            vectors.append(strength * means + noise)
        return np.stack(vectors), classes, groups


def right_out_of_fold(
    vectors: Floats, classes: NDArray[np.int64], fold: NDArray[np.int64], n_folds: int, score: str
) -> NDArray[np.bool_]:
    """Who is named right [loci, n samples], fitted and chosen on the next fold by the score."""

    def weighing(rows: NDArray[np.int64]) -> Floats:
        found = weights_for(score, torch.from_numpy(classes[rows]))
        return np.ones(len(rows)) if found is None else found.double().numpy()

    wanted = np.eye(classes.max() + 1)[classes]
    right = np.zeros(vectors.shape[:2], dtype=bool)
    for rotation in rotate(fold, n_folds):
        for locus, all_vectors in enumerate(vectors):
            train, told = all_vectors[rotation.train], wanted[rotation.train]
            weighs, held = weighing(rotation.train), weighing(rotation.val)
            centre, base = (np.average(part, axis=0, weights=weighs) for part in (train, told))
            weighed = (train - centre).T * weighs
            scales, axes = np.linalg.eigh(weighed @ (train - centre))
            target = axes.T @ weighed @ (told - base)
            weights = [axes @ (target / (scales[:, None] + penalty)) for penalty in PENALTIES]

            def named(rows: NDArray[np.int64], w: Floats) -> NDArray[np.intp]:
                return ((all_vectors[rows] - centre) @ w + base).argmax(1)  # noqa: B023

            def on_val(w: Floats) -> float:
                hits = named(rotation.val, w) == classes[rotation.val]  # noqa: B023
                return float(np.average(hits, weights=held))  # noqa: B023

            chosen = max(weights, key=on_val)
            right[locus, rotation.test] = named(rotation.test, chosen) == classes[rotation.test]
    return right


def one_set(world: World, seed: int, n_folds: int) -> tuple[Floats, Floats, float]:
    """Points [3], half widths of the plain 95% intervals [3], and what widens them."""
    rng = np.random.default_rng(seed)
    vectors, classes, groups = world.draw(rng)
    names = [str(group) for group in groups]
    strata, score = (None, ACCURACY) if world.shares is None else (classes, BALANCED_ACCURACY)
    right = np.mean(
        [
            right_out_of_fold(
                vectors,
                classes,
                make_folds(classes, names, n_folds, str(seed), own),
                n_folds,
                score,
            )
            for own in range(N_REPETITIONS)
        ],
        axis=0,
    )
    values = np.stack([*right, right[0] - right[1]])
    weights, index = bootstrap_weights(names, N_RESAMPLES, seed)
    drawn = stratified_means(values, strata, weights, index)
    lower, upper = np.quantile(drawn, [0.025, 0.975], axis=0)
    (point,) = stratified_means(values, strata, np.ones_like(weights[:1]), index)
    return point, (upper - lower) / 2, fold_widening(len(np.unique(groups)), score)


def coverage(world: World, n_sets: int, n_folds: int, workers: int = 1) -> dict[str, list[float]]:
    """How often plain and widened intervals hold the truth, per quantity, and by what the plain
    ones are too narrow: the points' deviation over that which the intervals tell, as `narrow`.
    """
    one = partial(one_set, world, n_folds=n_folds)
    if workers == 1:
        found = list(map(one, range(n_sets)))
    else:
        with ProcessPoolExecutor(workers) as pool:
            found = list(pool.map(one, range(n_sets)))
    points, halves, widenings = zip(*found, strict=True)
    away = np.abs(np.array(points) - np.mean(points, axis=0))
    half = np.array(halves)
    wide = half * np.array(widenings)[:, None]
    return {
        "plain": (away <= half).mean(0).tolist(),
        "widened": (away <= wide).mean(0).tolist(),
        "narrow": (np.std(points, axis=0) * 1.96 / half.mean(0)).tolist(),
        "score": np.mean(points, axis=0).tolist(),
    }


WORLDS = (
    World(100, 2),
    World(100, 4),
    World(100, 3, group_size=3),
    World(300, 3, group_size=3),
    World(300, 8),
    World(300, 2, width=128, strengths=(2.0, 1.7)),
    World(650, 2),
    World(650, 8, group_size=3),
    World(2000, 3, group_size=3),
    World(150, 4, shares=(0.56, 0.2, 0.14, 0.1)),
    World(300, 2, shares=(0.75, 0.25)),
    World(300, 3, group_size=3, shares=(0.6, 0.25, 0.15)),
    World(650, 3, group_size=3, shares=(0.6, 0.25, 0.15)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=300)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--uneven", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    for world in WORLDS:
        if chosen.uneven and world.shares is None:
            continue
        print(world, flush=True)
        for name, shares in coverage(world, chosen.sets, chosen.folds, chosen.workers).items():
            held = ", ".join(f"{q} {s:.3f}" for q, s in zip(QUANTITIES, shares, strict=True))
            print(f"  {name:8} {held}", flush=True)


if __name__ == "__main__":
    main()
