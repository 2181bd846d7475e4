"""`layerhouse diagnose`: add intervals to the stage losses and read the verdict off the views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from analysis.bootstrap import refuse_few
from analysis.diagnosis.choosing import AS_BEFORE, Choice, choose_answer, read_choice
from analysis.diagnosis.evidence import QUERIES, read_evidence
from analysis.diagnosis.findings import DiagnosedAnswer, Finding, ModeLoss, ReadAt, finding_of
from analysis.diagnosis.intervals import Resampling, interval_rows
from analysis.diagnosis.marks import Marks, read_marks
from analysis.diagnosis.staleness import Tables, inputs_fingerprint, renewed, store_intervals
from analysis.diagnosis.wording import sentence
from analysis.queries import read_query
from warehouse.catalogue import Catalogue, Warehouse, connect, dataset, labelled, require_known
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake, RunSpec, exclusive
from warehouse.vocabulary import MARGIN, N_RESAMPLES

COMMAND = "diagnose"

__all__ = ["Diagnosis", "ModeLoss", "diagnose", "read_finding"]


@dataclass(frozen=True)
class Diagnosis:
    """What `layerhouse diagnose` found out; `added` is False if the lake held it already.

    `verdict` is a failure mode, `healthy` or `undetermined`; `sentence` says it for a reader;
    `reason` names what is missing or worth knowing; `answered` is the share of test samples the
    model itself answers right, `answer` which of its answers that is; `rows` are the four failure
    modes in pipeline order, `places` say where each stage was read, `marks` what patching and
    repairs say beside the probes. `run_id` is None where there was nothing to compute intervals
    from.
    """

    model_id: str
    dataset_id: str
    run_id: str | None
    added: bool
    verdict: str
    sentence: str
    reason: str | None
    answered: float | None
    answer: DiagnosedAnswer | None
    rows: tuple[ModeLoss, ...]
    places: tuple[ReadAt, ...]
    marks: Marks


def diagnose(
    lake: Lake,
    model_id: str,
    dataset_id: str,
    *,
    n_resamples: int = N_RESAMPLES,
    margin: float = MARGIN,
    seed: int = 0,
    choice: Choice = AS_BEFORE,
) -> Diagnosis:
    """Bootstrap the stage losses and health scores of a model on a dataset; read the verdict.

    `margin` is the loss, as a share of the test samples, that a failure mode's lower bound must
    exceed; `choice` says which of the model's answers is meant. Missing probes, answers or
    intervals make the verdict `undetermined` with a reason. Raises UsageError for an unknown model
    or dataset, answers that are not there and impossible options, LayerhouseError when the lake
    holds neither probes nor answers of that model on that dataset.
    """
    _check_options(n_resamples, margin)
    with connect(lake) as wh:
        require_known(wh, "model", model_id)
        require_known(wh, "dataset", dataset_id)
        if choice != AS_BEFORE:
            read_choice(wh, model_id, dataset_id, choice)
        labelled(dataset(wh, dataset_id), "a diagnosis")
    options = Resampling(n_resamples, margin, seed)
    with exclusive(lake, COMMAND, model_id, dataset_id) as looked:
        if choice != AS_BEFORE:
            choose_answer(lake, model_id, dataset_id, choice, looked)
        run_id, added = _add_intervals(lake, model_id, dataset_id, options, looked)
    with connect(lake) as wh:
        finding = read_finding(wh, model_id, dataset_id)
        answer = read_answer(wh, model_id, dataset_id)
        places = read_places(wh, model_id, dataset_id)
        marks = read_marks(wh, model_id, dataset_id)
    return Diagnosis(
        model_id=model_id,
        dataset_id=dataset_id,
        run_id=run_id,
        added=added,
        verdict=finding.verdict,
        sentence=sentence(finding, marks),
        reason=finding.reason,
        answered=finding.answered,
        answer=answer,
        rows=finding.modes,
        places=places,
        marks=marks,
    )


def _add_intervals(
    lake: Lake, model_id: str, dataset_id: str, options: Resampling, looked: frozenset[str]
) -> tuple[str | None, bool]:
    """The run's id, and whether rows were added; a test split of one group has no intervals."""
    with connect(lake) as wh:

        def compute() -> Tables | None:
            evidence = read_evidence(wh, model_id, dataset_id)
            if evidence.n_groups < 2:
                return None
            return interval_rows(evidence, options, model_id, dataset_id)

        config = _diagnosis_config(wh, model_id, dataset_id, options)
        _refuse_without_stages(wh, model_id, dataset_id)
        spec = RunSpec(COMMAND, model_id, dataset_id, config)
        return store_intervals(lake, spec, looked, compute)


def _refuse_without_stages(wh: Catalogue, model_id: str, dataset_id: str) -> None:
    names = {"model": model_id, "dataset": dataset_id}
    if not wh.sql(read_query(QUERIES, "verdict"), names).fetchall():
        raise LayerhouseError(
            f"no probe of {model_id} on {dataset_id} can stand for a stage, and no answers are "
            "stored; a verdict reads mean or grid at the end of vision and connector, last in the "
            "llm, and answers"
        )


def read_finding(wh: Catalogue, model_id: str, dataset_id: str) -> Finding:
    """The verdict of a model on a dataset, with the losses and intervals behind it, as a lake or a
    published file has it."""
    names = {"model": model_id, "dataset": dataset_id}
    rows = wh.sql(read_query(QUERIES, "verdict"), names).to_dicts()
    return finding_of(rows)


def read_answer(wh: Catalogue, model_id: str, dataset_id: str) -> DiagnosedAnswer | None:
    """Which of a model's answers on a dataset is diagnosed, None without any."""
    names = {"model": model_id, "dataset": dataset_id}
    rows = wh.sql(read_query(QUERIES, "diagnosed"), names).fetchall()
    return DiagnosedAnswer(*rows[0]) if rows else None


def read_places(wh: Catalogue, model_id: str, dataset_id: str) -> tuple[ReadAt, ...]:
    """Where each stage before the answer was read, in pipeline order."""
    names = {"model": model_id, "dataset": dataset_id}
    return tuple(ReadAt(*row) for row in wh.sql(read_query(QUERIES, "read_at"), names).fetchall())


def _check_options(n_resamples: int, margin: float) -> None:
    refuse_few(n_resamples)
    if not 0 <= margin < 1:
        raise UsageError(f"the margin is a share of the test samples in [0, 1), not {margin}")


def _diagnosis_config(
    wh: Warehouse, model_id: str, dataset_id: str, options: Resampling
) -> dict[str, Any]:
    """The run's configuration: options, a fingerprint of the inputs, and the run it replaces."""
    wanted = {
        "n_resamples": options.n_resamples,
        "margin": options.margin,
        "seed": options.seed,
        "inputs": inputs_fingerprint(wh, model_id, dataset_id),
    }
    names = {"model": model_id, "dataset": dataset_id}
    ((n_outdated,),) = wh.sql(read_query(QUERIES, "outdated"), names).fetchall()
    latest = wh.sql(read_query(QUERIES, "latest_run"), names).fetchall()
    return renewed(wanted, latest, is_outdated=n_outdated > 0)
