"""`layerhouse probe`: fit what the lake still lacks, commit after every few cells."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from analysis.probes.activations import Samples, read_cells, read_vectors
from analysis.probes.fitting import fit_lacking
from analysis.probes.probe_kind import ProbeKind
from analysis.probes.registry import find_kind
from analysis.probes.storage import Fit, Stored, Subject, read_stored, tables_of
from analysis.probes.targets import Target, wanted_targets
from analysis.probes.tokens import read_tokens
from warehouse.catalogue import open_tables
from warehouse.lake import Commit, Lake, RunSpec, RunWriter, exclusive
from warehouse.progress import Progress
from warehouse.vocabulary import ACCURACY, DEFAULT_PROBE_KIND, PROBE_CONTROLS, Cell

COMMAND = "probe"


@dataclass(frozen=True)
class ProbeSummary:
    """What `probe` did; `added` is False if the lake held everything already.

    n_probes: fitted now; n_stored: of this kind in the lake afterwards; run_id: the run that added
    them, the newest one if there was nothing to add; warnings are for the person who asked.
    """

    model_id: str
    dataset_id: str
    run_id: str
    added: bool
    n_probes: int
    n_stored: int
    seconds: float
    warnings: tuple[str, ...] = ()


def probe(
    lake: Lake,
    model_id: str,
    dataset_id: str,
    *,
    kind: str | ProbeKind = DEFAULT_PROBE_KIND,
    seeds: int | None = None,
    controls: Sequence[str] = PROBE_CONTROLS,
    progress: Progress | None = None,
) -> ProbeSummary:
    """Fit the probes of a model on a dataset that the lake lacks: every locus, every readout.

    `kind` is a name, which means its default options and a GPU if there is one, or a kind with
    options of its own such as `MlpProbe(hidden=64)`. `seeds` (default 5) counts the shuffles of the
    control `shuffled_labels`, and the trainings of a kind that draws numbers; a linear probe of the
    true labels is one deterministic fit. More seeds later add to what is there. Under folds every
    sample is predicted out of fold, once per repetition, and a seed is a repetition. The control
    permutes the labels of train and of val (under folds all), and is scored against the true ones:
    what it scores there is what the probe reaches without any relation between vectors and labels
    (`above_shuffled` = accuracy − that). `progress(done, total)` is called per chunk.

    Raises UsageError for unknown names and impossible options, LayerhouseError where nothing was
    extracted, where stored probes have other settings, and for vectors that cannot be probed.
    """
    started = time.perf_counter()
    kind = find_kind(kind) if isinstance(kind, str) else kind
    wanted_targets(kind, seeds, controls)  # says what is wrong before anything is read
    with exclusive(lake, COMMAND, model_id, dataset_id) as looked, open_tables(lake) as wh:
        widths, samples = read_cells(wh, model_id, dataset_id, tokens=kind.reads_tokens)
        wanted = wanted_targets(kind, seeds, controls, samples.n_repetitions)
        subject = Subject.of(kind, model_id, dataset_id, samples)
        stored = read_stored(wh, subject)
        lacking = {cell: stored.lacks(cell, wanted) for cell in widths}
        config = _config(subject, widths, wanted)
        spec = RunSpec(COMMAND, model_id, dataset_id, config, device=kind.device)
        total = sum(map(len, lacking.values()))
        reading = read_tokens if kind.reads_tokens else read_vectors
        read = partial(reading, wh, model_id, dataset_id, samples=samples)
        with RunWriter(lake, spec, looked) as writer:
            warnings, done = _coverage_warning(samples), 0
            for fits in fit_lacking(kind, samples, dataset_id, lacking, widths, read):
                _commit(writer, subject, fits, samples)
                warnings += _warnings(fits)
                done += len(fits)
                if progress is not None:
                    progress(done, total)
            if writer.committed:
                writer.finish()
    seconds = time.perf_counter() - started
    return _summary(subject, spec, stored, total, seconds, warnings)


def _summary(
    subject: Subject,
    spec: RunSpec,
    stored: Stored,
    total: int,
    seconds: float,
    warnings: Sequence[str],
) -> ProbeSummary:
    return ProbeSummary(
        model_id=subject.model_id,
        dataset_id=subject.dataset_id,
        run_id=spec.run_id if total or stored.run_id is None else stored.run_id,
        added=total > 0,
        n_probes=total,
        n_stored=total + len(stored),
        seconds=seconds,
        warnings=tuple(warnings),
    )


def _config(
    subject: Subject, cells: Sequence[Cell] | dict[Cell, int], wanted: tuple[Target, ...]
) -> dict[str, Any]:
    return {
        "kind": subject.kind,
        "settings": subject.settings,
        "targets": [[target.control, target.seed] for target in wanted],
        "loci": [list(cell) for cell in cells],
    }


def _commit(writer: RunWriter, subject: Subject, fits: list[Fit], samples: Samples) -> None:
    mine = [[*fit.cell, fit.target.control, fit.target.seed] for fit in fits]

    def clashes(commit: Commit) -> bool:
        """Whether another's commit holds some of these probes."""
        theirs = commit.run["config"]
        score = theirs.get("settings", {}).get("score", ACCURACY)
        is_alike = (theirs.get("kind"), score) == (subject.kind, subject.score)
        return is_alike and any(one in mine for one in commit.covers.get("probes", []))

    writer.commit(tables_of(subject, fits, samples), covers={"probes": mine}, clashes=clashes)


def _warnings(fits: list[Fit]) -> list[str]:
    return [
        f"the probe of {fit.cell} ({fit.target.control}, seed {fit.target.seed}) did not converge"
        for fit in fits
        if not fit.chosen.get("converged", True)
    ]


def _coverage_warning(samples: Samples) -> list[str]:
    if len(samples.ids) == samples.n_registered:
        return []
    return [
        f"only {len(samples.ids)} of {samples.n_registered} samples were extracted; "
        "probes and scores are about those"
    ]
