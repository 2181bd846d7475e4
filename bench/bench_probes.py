"""Linear probes against a loop of scikit-learn's LogisticRegression, side by side in one run.

    python -m bench.bench_probes             # small: seconds
    python -m bench.bench_probes --full      # 64 loci × 2 readouts × 1,000 × 3,584 × 10 penalties
    python -m bench.bench_probes --paper     # one locus-readout of 5,856 × 3,584, split and folds

Both sides fit the same penalties on the same drawn activations: `steep` has the falling spectrum of
real activations, `flat` has none. scikit-learn (lbfgs, its default stopping rule, float32 as well)
gets standardised features for free and is timed on a few of the problems; its loop takes that many
times longer for all of them.
"""

import argparse
import resource
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn.functional import one_hot

from analysis.parallel import cores, in_order
from analysis.probes import (
    FoldFit,
    LabelledVectors,
    LinearProbe,
    Stop,
    fit_linear,
    form_of,
    path_logits,
    penalty_grid,
    solve_path,
    standardise,
)
from warehouse.catalogue import Rotation, make_folds, rotate

CLASSES = 5
PENALTIES = tuple(10.0**power for power in np.linspace(-5, -0.5, 10))
CHUNK = 8


@dataclass(frozen=True)
class Size:
    problems: int
    n_train: int
    width: int
    compared: int

    @property
    def n(self) -> int:
        """Train, val and test samples; a third of train's number each for the latter two."""
        return self.n_train + 2 * (self.n_train // 3)


SMALL = Size(problems=16, n_train=500, width=1792, compared=1)
FULL = Size(problems=128, n_train=1000, width=3584, compared=4)
PAPER = Size(problems=1, n_train=3514, width=3584, compared=1)


def labels(size: Size) -> Tensor:
    return torch.randint(CLASSES, (size.n,), generator=torch.Generator().manual_seed(0))


def draw(size: Size, spectrum: str, problem: int) -> Tensor:
    """The activations of one (locus, readout): [n, width]."""
    generator = torch.Generator().manual_seed(problem + 1)
    truth = labels(size)
    if spectrum == "flat":
        means = 0.1 * torch.randn(CLASSES, size.width, generator=generator)
        return torch.randn(size.n, size.width, generator=generator) + means[truth]
    rank = min(800, size.n_train, size.width)
    scale = 1 / torch.arange(1, rank + 1)
    means = 0.4 * torch.randn(CLASSES, rank, generator=generator)
    latent = (torch.randn(size.n, rank, generator=generator) + means[truth]) * scale
    noise = 0.02 * torch.randn(size.n, size.width, generator=generator)
    return latent @ torch.randn(rank, size.width, generator=generator) + noise


def run_ours(size: Size, spectrum: str, device: str) -> float:
    """Seconds to standardise, fit, choose and score all problems; drawing them is not counted."""
    truth = labels(size).to(device)[None]
    a, b = size.n_train, size.n_train + size.n_train // 3

    def fit(features: Tensor) -> None:
        features = features.to(device)
        fit_linear(
            LabelledVectors(features[:, :a], truth[:, :a]),
            LabelledVectors(features[:, a:b], truth[:, a:b]),
            features[:, b:],
            CLASSES,
            PENALTIES,
        )

    workers = cores() if device == "cpu" else 1
    seconds = 0.0
    for start in range(0, size.problems, CHUNK * workers):
        last = min(start + CHUNK * workers, size.problems)
        drawn = [draw(size, spectrum, problem) for problem in range(start, last)]
        chunks = [torch.stack(drawn[i : i + CHUNK]) for i in range(0, len(drawn), CHUNK)]
        began = time.perf_counter()
        list(in_order(chunks, fit, workers))
        if device != "cpu":
            torch.cuda.synchronize()
        seconds += time.perf_counter() - began
    return seconds


def predictions(size: Size, spectrum: str, problem: int) -> np.ndarray:
    """What our probes predict on test at every penalty, [penalties, n test]."""
    features, truth = draw(size, spectrum, problem)[None], labels(size)
    train, b = features[:, : size.n_train], size.n_train + size.n_train // 3
    moments = standardise(train)
    form = form_of(train)
    target = one_hot(truth[: size.n_train], CLASSES).mT.float()[None].contiguous()
    path = solve_path(form, target, [1 / penalty for penalty in PENALTIES], Stop())
    test = moments.centre(features[:, b:]).mul_(moments.inverse_scale[:, None])
    return path_logits(form, path, test)[:, 0, 0].argmax(-1).numpy()


def run_sklearn(size: Size, spectrum: str, problem: int) -> tuple[float, np.ndarray]:
    """Seconds for all penalties of one problem, and the predictions on test."""
    features, truth = draw(size, spectrum, problem), labels(size).numpy()
    mean, spread = features[: size.n_train].mean(0), features[: size.n_train].std(0, correction=0)
    x = ((features - mean) / spread).numpy()
    b = size.n_train + size.n_train // 3
    named = []
    began = time.perf_counter()
    for penalty in PENALTIES:
        model = LogisticRegression(C=penalty, max_iter=1000)
        named.append(model.fit(x[: size.n_train], truth[: size.n_train]).predict(x[b:]))
    return time.perf_counter() - began, np.stack(named)


def compare(size: Size, spectrum: str, device: str) -> None:
    ours = run_ours(size, spectrum, device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    seconds, same, gaps = 0.0, [], []
    truth = labels(size).numpy()[size.n_train + size.n_train // 3 :]
    for problem in range(size.compared):
        taken, theirs = run_sklearn(size, spectrum, problem)
        mine = predictions(size, spectrum, problem)
        seconds += taken
        same.append((mine == theirs).mean())
        gaps.append((mine == truth).mean() - (theirs == truth).mean())
    loop = seconds * size.problems / size.compared
    print(
        f"{spectrum}: {size.problems} probes × {len(PENALTIES)} penalties, {size.n_train} × "
        f"{size.width}, on {device}: {ours:.1f} s, scikit-learn's loop {loop:.0f} s "
        f"({size.compared} of {size.problems} timed), ratio {loop / ours:.0f}"
    )
    print(
        f"    identical test predictions {np.mean(same):.2%}, mean accuracy gap "
        f"{100 * np.mean(gaps):+.2f} points, peak memory so far {peak:.1f} GB"
    )


def one_locus(size: Size, spectrum: str) -> None:
    """What `probe` fits of a locus-readout: true and five shuffled labels of two classes, on one
    core, by a split and by four repetitions of five folds (whose control is one shuffle each)."""
    features, truth = draw(size, spectrum, 0), labels(size) % 2
    rng = np.random.default_rng(0)
    sets = torch.stack([truth, *(truth[rng.permutation(size.n)] for _ in range(5))])
    places = np.arange(size.n)
    a, b = size.n_train, size.n_train + size.n_train // 3
    split = [Rotation(places[:a], places[a:b], places[b:])]

    def folds(own: int) -> tuple[Rotation[NDArray[np.int64]], ...]:
        return rotate(make_folds(truth.numpy(), list(map(str, places)), 5, "bench", own), 5)

    def seconds(fits: Sequence[FoldFit]) -> float:
        began = time.perf_counter()
        LinearProbe().fit_folds(features[None].clone(), fits, 2)
        return time.perf_counter() - began

    def fits(rotations: Iterable[Rotation[NDArray[np.int64]]], wanted: Tensor) -> list[FoldFit]:
        return [FoldFit(rotation, wanted, (0,) * len(wanted)) for rotation in rotations]

    ours, two = seconds(fits(split, sets)), seconds(fits(split, sets[:2]))
    folded = seconds([one for own in range(4) for one in fits(folds(own), sets[[0, 1 + own]])]) / 4
    standardise(features[None, :a])
    theirs = 0.0
    for penalty in penalty_grid(size.width)[::2]:
        for wanted in sets[:2]:
            began = time.perf_counter()
            LogisticRegression(C=penalty, max_iter=1000).fit(features[:a], wanted[:a])
            theirs += time.perf_counter() - began
    loop = theirs * 3 * 11 / 6
    print(
        f"{spectrum}: {size.n} × {size.width}, 6 label sets × 11 penalties: {ours:.1f} s, "
        f"scikit-learn's loop {loop:.0f} s (12 of 66 timed), ratio {loop / ours:.0f}; "
        f"2 label sets {two:.1f} s, a repetition of five folds {folded:.1f} s, "
        f"ratio {folded / two:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--full", action="store_true", help="the size of the project's bar")
    parser.add_argument("--device", default="cpu", help="where our probes run (cpu, cuda)")
    parser.add_argument("--paper", action="store_true", help="one locus-readout of 5,856 samples")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    for spectrum in ("steep", "flat"):
        if options.paper:
            one_locus(PAPER, spectrum)
            continue
        compare(FULL if options.full else SMALL, spectrum, options.device)


if __name__ == "__main__":
    main()
