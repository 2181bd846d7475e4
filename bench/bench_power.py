"""Whether a set shows the losses that it is said to, where the truth is known.

    python -m bench.bench_power [--sets N]

Draws test sets on which a stage loses what `smallest_loss` says that a set of this size shows in 80
of 100 samplings, and a tenth less and more, has the intervals of `layerhouse diagnose` made of
them, and counts how often the loss is present: its lower bound above the margin. Images of a group
have the same fate with the chance `likeness`; as many images then tell less, by the design effect
1 + (images of a group - 1) * likeness (Kish 1965).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import duckdb
import numpy as np

from analysis.diagnosis.evidence import Evidence, Predictor
from analysis.diagnosis.intervals import Resampling, interval_rows
from warehouse.catalogue.definitions import SHIPPED
from warehouse.vocabulary import MARGIN

BEFORE, AFTER = ("vision", 0, "mean", "linear"), ("connector", 0, "mean", "linear")
OPTIONS = Resampling(n_resamples=500)


@dataclass(frozen=True)
class World:
    """How many groups, how many images in each, how often two stages differ beside
    what is lost."""

    n_groups: int
    noise: float
    group_size: int = 1
    likeness: float = 0.0

    @property
    def n_effective(self) -> float:
        design_effect = 1 + (self.group_size - 1) * self.likeness
        return self.n_groups * self.group_size / design_effect

    @property
    def smallest_loss(self) -> float:
        """What the shipped macro says that such a set shows."""
        with duckdb.connect() as con:
            for name in ("loss_beyond", "smallest_loss"):
                con.execute(SHIPPED.macros[name])
            given = [self.noise, self.n_effective, MARGIN]
            ((loss,),) = con.execute("SELECT smallest_loss($1, $2, $3)", given).fetchall()
        return float(loss)

    def draw(self, loss: float, rng: np.random.Generator) -> Evidence:
        """A set on which the stage loses that much, in expectation."""
        kept = (1 - self.noise - loss) / 2
        share = [loss + self.noise / 2, self.noise / 2, kept, kept]
        fates = rng.choice(4, size=(self.n_groups, self.group_size), p=share)
        alike = rng.random(fates.shape) < np.sqrt(self.likeness)
        fates = np.where(alike, rng.choice(4, size=(self.n_groups, 1), p=share), fates).ravel()
        groups = np.repeat(np.arange(self.n_groups), self.group_size).astype(str)
        correct = np.stack([np.isin(fates, (0, 2)), np.isin(fates, (1, 2))]).astype(np.float64)
        chosen: dict[str, Predictor] = dict.fromkeys(("connector", "llm", "answer"), AFTER)
        chosen["vision"] = BEFORE
        return Evidence(groups, correct, {BEFORE: 0, AFTER: 1}, chosen, ())


def power(world: World, loss: float, n_sets: int) -> float:
    """How often the loss is present."""
    n_present = 0
    for seed in range(n_sets):
        evidence = world.draw(loss, np.random.default_rng(seed))
        rows = interval_rows(evidence, OPTIONS, "m", "d")["stage_interval"]
        (found,) = (r for r in rows if (r["stage"], r["quantity"]) == ("connector", "loss"))
        n_present += round(found["lower"], 9) > MARGIN
    return n_present / n_sets


WORLDS = (
    World(80, 0.0),
    World(80, 0.2),
    World(150, 0.0),
    World(150, 0.1),
    World(150, 0.2),
    World(624, 0.1),
    World(60, 0.1, group_size=4, likeness=0.3),
    World(200, 0.1, group_size=3, likeness=0.5),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=400)
    chosen = parser.parse_args()
    print("loss said to be shown in 80 of 100, and how often 0.9, 1.0 and 1.1 times it are")
    for world in WORLDS:
        said = world.smallest_loss
        shown = ", ".join(f"{power(world, f * said, chosen.sets):.2f}" for f in (0.9, 1.0, 1.1))
        print(f"{world}: {said:.3f}: {shown}", flush=True)


if __name__ == "__main__":
    main()
