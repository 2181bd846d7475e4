"""What a probe is called in the lake, and the rows it leaves there."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.logits import logit_rows
from analysis.probes.activations import Samples
from analysis.probes.probe_kind import READER, ProbeKind
from analysis.probes.targets import TRUE_LABELS, Target
from analysis.queries import read_query
from warehouse.catalogue import Warehouse
from warehouse.errors import LayerhouseError
from warehouse.lake import config_difference
from warehouse.vocabulary import ACCURACY, Cell

QUERIES = Path(__file__).parent / "queries"


@dataclass(frozen=True)
class Subject:
    """Whose probes: one model on one dataset, one kind, the score that they are fitted for, and the
    settings all of them share."""

    model_id: str
    dataset_id: str
    kind: str
    score: str
    settings: dict[str, Any]

    @classmethod
    def of(cls, kind: ProbeKind, model_id: str, dataset_id: str, samples: Samples) -> "Subject":
        """The settings are the kind's own, and on which samples and for what it was fitted."""
        settings = {
            **kind.settings(),
            "samples": samples.fingerprint,
            **score_setting(samples.score),
        }
        return cls(model_id, dataset_id, kind.name, samples.score, settings)

    def probe_id(self, cell: Cell, target: Target) -> str:
        """The same name for the same probe, whoever fits it and whenever."""
        key = [
            self.model_id,
            self.dataset_id,
            *cell,
            self.kind,
            target.control,
            target.seed,
            self.settings,
        ]
        return blake2b(json.dumps(key, sort_keys=True).encode(), digest_size=12).hexdigest()


def score_setting(score: str) -> dict[str, Any]:
    """The score among the settings of what is fitted for it: nothing for accuracy, as it was when
    nothing else was to be had."""
    return {} if score == ACCURACY else {"score": score}


@dataclass(frozen=True)
class Fit:
    """One probe: its logits [n, n_classes] on what it predicted as val and as test, and what
    fitting chose; under folds it is fitted once per fold and predicts all samples as either."""

    cell: Cell
    target: Target
    val_logits: NDArray[np.float32]
    test_logits: NDArray[np.float32]
    chosen: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class Stored:
    """What the lake holds already: targets per cell, and one of their runs."""

    targets: dict[Cell, set[Target]]
    run_id: str | None

    def lacks(self, cell: Cell, wanted: Iterable[Target]) -> tuple[Target, ...]:
        """Which of the wanted targets are not stored for a cell."""
        held = self.targets.get(cell, set())
        return tuple(target for target in wanted if target not in held)

    def __len__(self) -> int:
        return sum(map(len, self.targets.values()))


def read_stored(wh: Warehouse, subject: Subject) -> Stored:
    """The probes of this kind, fitted for this score, that the lake holds.

    Raises LayerhouseError where they were fitted with other settings or on other samples: a second
    probe of the same name would silently replace or double the first.
    """
    names = {
        "model": subject.model_id,
        "dataset": subject.dataset_id,
        "kind": subject.kind,
        "score": subject.score,
    }
    held: dict[Cell, set[Target]] = {}
    latest = None
    for module, layer, readout, control, seed, stored, run_id in wh.sql(
        read_query(QUERIES, "stored"), names
    ).fetchall():
        settings = {key: value for key, value in json.loads(stored).items() if key != "chosen"}
        if settings != subject.settings:
            raise LayerhouseError(
                f"{subject.model_id} on {subject.dataset_id} has {subject.kind} probes with other "
                f"settings ({config_difference(settings, subject.settings)}); keep those, or "
                f"take them out with `layerhouse runs remove {run_id}` and fit anew"
            )
        held.setdefault(Cell(module, layer, readout), set()).add(Target(control, seed))
        latest = run_id
    return Stored(held, latest)


def tables_of(
    subject: Subject, fits: Iterable[Fit], samples: Samples
) -> dict[str, pa.Table | list[dict[str, Any]]]:
    """The rows of `probe` and `probe_logit` for some fits."""
    probes, logits = [], []
    for fit in fits:
        probe_id = subject.probe_id(fit.cell, fit.target)
        chosen = fit.chosen if fit.target == TRUE_LABELS else _without_reader(fit.chosen)
        probes.append(
            {
                "probe_id": probe_id,
                "model_id": subject.model_id,
                "dataset_id": subject.dataset_id,
                **fit.cell._asdict(),
                "kind": subject.kind,
                "score": subject.score,
                "control": fit.target.control,
                "seed": fit.target.seed,
                "hyperparameters": {**subject.settings, "chosen": chosen},
                **samples.sizes(fit.target.seed),
                "fit_seconds": fit.seconds,
            }
        )
        for split, rows in (("val", fit.val_logits), ("test", fit.test_logits)):
            logits.append(
                logit_rows("probe_id", probe_id, samples.ids[samples.predicted(split)], split, rows)
            )
    return {"probe": probes, "probe_logit": pa.concat_tables(logits)}


def _without_reader(chosen: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in chosen.items() if key != READER}
    if "folds" in kept:
        kept["folds"] = [_without_reader(one) for one in kept["folds"]]
    return kept
