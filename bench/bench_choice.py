"""How what stands for a stage should be chosen where val is small, where the truth is known.

    python -m bench.bench_choice [--sets N]

Draws who is right about which image at many loci, of which some show the class as well as others
and most a little less; chooses what stands for each stage on val by several rules; and has the
losses and intervals of `layerhouse diagnose` made on test. Printed for every rule and size of val,
for a healthy model and for one whose connector loses 15 points: the mean error of the connector's
and of the largest other loss, their root mean square, how often a loss that is none is present, and
how often the one that is there is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from analysis.diagnosis.evidence import Evidence, Predictor
from analysis.diagnosis.intervals import Resampling, interval_rows
from warehouse.vocabulary import MARGIN

Floats = NDArray[np.float64]
Rule = Callable[[Floats, float], NDArray[np.intp]]

STAGES = ("vision", "connector", "llm", "answer")
N_TEST = 150
LIKENESS = 0.7
"""How much what makes an image hard is the same at all loci, as a correlation."""

OPTIONS = Resampling(n_resamples=200)


@dataclass(frozen=True)
class World:
    """The expected accuracy of each locus, deepest last, and the first locus of each stage's
    candidates: what lies at its end or behind it."""

    name: str
    accuracies: tuple[float, ...]
    begins: Mapping[str, int]

    @property
    def losses(self) -> dict[str, float]:
        """What each stage truly loses: of the best that is left before it and after."""
        best = [max(self.accuracies[self.begins[stage] :]) for stage in STAGES]
        pairs = zip(STAGES[1:], best[:-1], best[1:], strict=True)
        return {stage: before - after for stage, before, after in pairs}


def world(name: str, before: float, after: float) -> World:
    """Eight readouts at the end of the tower, two of a connector, 48 of a decoder, two of them the
    last token's, and the answer. Of a module's one in four is as good as any."""
    rng = np.random.default_rng(0)

    def some(n: int, best: float) -> list[float]:
        lesser = best - rng.uniform(0.0, 0.15, n)
        lesser[:: max(n // 4, 1)] = best
        return [float(value) for value in lesser]

    tower, connector, decoder = some(8, before), some(2, after), some(46, after)
    ends = [after, after, after]
    accuracies = (*tower, *connector, *decoder, *ends)
    begins = {"vision": 0, "connector": 8, "llm": 56, "answer": 58}
    return World(name, accuracies, begins)


WORLDS = (world("healthy", 0.85, 0.85), world("connector loses 15 points", 0.85, 0.70))


def within(val: Floats, error: float) -> NDArray[np.intp]:
    """The places that are as good as the best but for an error."""
    return np.flatnonzero(val >= val.max() - error)


RULES: dict[str, Rule] = {
    "best": lambda val, _: within(val, 0)[-1:],
    "earliest": lambda val, error: within(val, error)[:1],
    "deepest": lambda val, error: within(val, error)[-1:],
    "three best": lambda val, _: np.argsort(-val, kind="stable")[:3],
}
"""By their accuracies on val, deepest last, and the standard error of the best: the best, of equals
the deepest, as `stage_candidate` has it; the earliest or the deepest within one standard error of
it; the three best, whose accuracies are averaged."""


def draw(case: World, n: int, rng: np.random.Generator) -> Floats:
    """Who is right about which image, [n loci, n]."""
    shared = rng.standard_normal(n)
    own = rng.standard_normal((len(case.accuracies), n))
    bounds = np.array([NormalDist().inv_cdf(value) for value in case.accuracies])
    hard = np.sqrt(LIKENESS) * shared + np.sqrt(1 - LIKENESS) * own
    return (hard < bounds[:, None]).astype(np.float64)


def one_set(case: World, rule: Rule, n_val: int, seed: int) -> dict[str, tuple[float, bool]]:
    """The loss of each stage, and whether it is present."""
    rng = np.random.default_rng(seed)
    val, test = draw(case, n_val, rng).mean(1), draw(case, N_TEST, rng)
    rows: dict[Predictor, int] = {}
    chosen: dict[str, Predictor] = {}
    correct = []
    for stage in STAGES:
        stop = len(val) if stage in ("vision", "connector") else case.begins[stage] + 2
        own = val[case.begins[stage] : stop]
        places = case.begins[stage] + rule(own, float(np.sqrt(own.max() * (1 - own.max()) / n_val)))
        chosen[stage] = ("llm", len(rows), stage, "linear")
        rows[chosen[stage]] = len(rows)
        correct.append(test[places].mean(0))
    groups = np.arange(N_TEST).astype(str)
    evidence = Evidence(groups, np.stack(correct), rows, chosen, ())
    found = interval_rows(evidence, OPTIONS, "m", "d")["stage_interval"]
    return {
        row["stage"]: (row["point"], round(row["lower"], 9) > MARGIN)
        for row in found
        if row["quantity"] == "loss" and row["stage"] in case.losses
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=400)
    n_sets = parser.parse_args().sets
    for case in WORLDS:
        print(case.name)
        for n_val in (16, 40, 150):
            for name, rule in RULES.items():
                sets = [one_set(case, rule, n_val, seed) for seed in range(n_sets)]
                told = []
                for stage, truth in case.losses.items():
                    errors = np.array([each[stage][0] - truth for each in sets])
                    present = np.mean([each[stage][1] for each in sets])
                    told.append(
                        f"{stage} {errors.mean():+.3f} ({np.sqrt((errors**2).mean()):.3f}) "
                        f"present {present:.2f}"
                    )
                print(f"  val {n_val:3} {name:10} {', '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
