"""Functions on what was extracted: probes, baselines, the diagnosis, comparisons, the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from layerhouse.functions.arguments import (
    Place,
    Several,
    dataset_id,
    known_options,
    lake_at,
    several,
)
from layerhouse.functions.names import refuse_unknown_attributes, refuse_unknown_here
from layerhouse.parts import part
from warehouse.devices import AUTO, refuse_unknown_device
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.progress import Progress
from warehouse.vocabulary import (
    DEFAULT_PROBE_KIND,
    MARGIN,
    N_RESAMPLES,
    PROBE_CONTROLS,
    PROBE_KINDS,
    ProbeFacts,
)

if TYPE_CHECKING:
    from analysis.baselines import BaselineSummary
    from analysis.comparison import Comparison, LeftOut
    from analysis.diagnosis import Diagnosis, Power
    from analysis.probes import ProbeKind, ProbeSummary


class ProbeOptions(TypedDict, total=False):
    """What `layerhouse probe --help` explains; every one may be left out."""

    kind: str
    seeds: int | None
    control: Several
    hidden: int | None
    coefficients: bool
    code_length: bool
    geometry: bool
    border: bool
    folds: int | None
    target: Several
    control_task: Several


class DiagnosisOptions(TypedDict, total=False):
    """What `layerhouse diagnose --help` explains; every one may be left out."""

    resamples: int
    margin: float
    seed: int
    method: str | None
    prompt: str | None


class BaselineOptions(TypedDict, total=False):
    """What `layerhouse baseline --help` explains; every one may be left out."""

    weights: str | None
    side: int | None
    epochs: int | None
    seed: int
    seeds: int
    device: str


@part("analysis")
def probe(
    model: str,
    dataset: str | PathLike[str],
    *,
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[ProbeOptions],
) -> ProbeSummary:
    """Train a probe at every stored locus of a model in the lake and store its logits.

    `coefficients`, `code_length`, `geometry`, `border` and `folds` measure more, `target` and
    `control_task` name attributes to be probed, each stored once; `layerhouse probe --help`
    explains all options.
    """
    more = measures(lake_at(lake), model, dataset, **options)
    summary = fit_probes(model, dataset, lake=lake, progress=progress, **options)
    for add in more.values():
        add(progress=progress)
    return summary


def fit_probes(
    model: str,
    dataset: str | PathLike[str],
    *,
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[ProbeOptions],
) -> ProbeSummary:
    """As `probe`, without what it measures beyond the probes."""
    from analysis.probes import probe as fit

    chosen = known_options("probe", options, ProbeOptions)
    return fit(
        lake_at(lake),
        model,
        dataset_id(dataset),
        kind=_kind(chosen),
        seeds=chosen.get("seeds"),
        controls=several(chosen.get("control", PROBE_CONTROLS)),
        progress=progress,
    )


def measures(
    lake: Lake, model: str, dataset: str | PathLike[str], **options: Unpack[ProbeOptions]
) -> dict[str, Callable[..., int]]:
    """What is asked for beyond the probes, by the name it has in messages: what adds it.

    UsageError for names that the lake does not hold, before anything heavy is imported.
    """
    chosen, named = known_options("probe", options, ProbeOptions), dataset_id(dataset)
    targets, tasks = several(chosen.get("target")), several(chosen.get("control_task"))
    refuse_unknown_here(lake, [model], [named])
    refuse_unknown_attributes(lake, named, [*targets, *tasks])
    from analysis import measures as known

    asked: dict[str, Callable[..., int]] = {}
    if chosen.get("coefficients"):
        if not _facts(chosen.get("kind", DEFAULT_PROBE_KIND)).has_coefficients:
            raise UsageError("only linear probes have coefficients; leave --kind at linear")
        asked["coefficients"] = known.add_coefficients
    seeds = chosen.get("seeds") or 5
    if chosen.get("code_length"):
        asked["code length"] = partial(known.add_code_lengths, seeds=seeds)
    if chosen.get("geometry"):
        asked["geometry"] = known.add_geometry
    if chosen.get("border"):
        asked["border fidelity"] = known.add_border
    if folds := chosen.get("folds"):
        asked[f"{folds} folds"] = partial(known.add_folds, n_folds=folds)
    for name in targets:
        adds = partial(known.add_attribute, attribute=name, kind=_kind(chosen))
        asked[f"target {name}"] = adds
    for name in tasks:
        adds = partial(known.add_control_task, attribute=name, kind=_kind(chosen))
        asked[f"control task {name}"] = partial(adds, seeds=seeds)
    return {name: partial(add, lake, model, named) for name, add in asked.items()}


def _kind(options: Mapping[str, Any]) -> ProbeKind:
    """The kind of probe that is asked for, with its options."""
    from analysis.probes import find_kind

    kind, hidden = options.get("kind", DEFAULT_PROBE_KIND), options.get("hidden")
    if hidden and "hidden" not in _facts(kind).options:
        raise UsageError("only the mlp has a hidden width; add --kind mlp")
    return find_kind(kind, **({"hidden": hidden} if hidden else {}))


def _facts(kind: str) -> ProbeFacts:
    return PROBE_KINDS.get(kind, ProbeFacts(kind))


@part("analysis")
def baseline(
    dataset: str | PathLike[str],
    architecture: Several,
    *,
    lake: Place = None,
    **options: Unpack[BaselineOptions],
) -> list[BaselineSummary]:
    """Train traditional image classifiers on a dataset: what the task allows.

    `dataset` is a registered dataset, a folder of classes or a manifest. One summary per
    architecture and seed; `layerhouse baseline --help` explains the options and `--list` shows the
    architectures.
    """
    return list(baselines(dataset, architecture, lake=lake, **options))


def baselines(
    dataset: str | PathLike[str],
    architecture: Several,
    *,
    lake: Place = None,
    **options: Unpack[BaselineOptions],
) -> Iterator[BaselineSummary]:
    """As `baseline`, each summary as soon as its classifier is trained."""
    from analysis.baselines import find
    from extract import datasets

    chosen = known_options("baseline", options, BaselineOptions)
    first, seeds = chosen.pop("seed", 0), chosen.pop("seeds", 1)
    where, asked = lake_at(lake), [find(name) for name in several(architecture)]
    refuse_unknown_device(chosen.get("device", AUTO))
    datasets.refuse_unknown_dataset(where, str(dataset))
    from analysis.baselines import Options, baseline as train

    notes: list[str] = []
    resolved = datasets.resolve(where, str(dataset), warn=notes.append)
    for one in asked:
        # What has no randomness is one and the same for every seed.
        for seed in range(first, first + (seeds if one.is_deep else 1)):
            done = train(where, resolved, one.name, seed=seed, options=Options(**chosen))
            yield replace(done, notes=tuple(notes))
            notes.clear()


def diagnose(
    model: str,
    dataset: str | PathLike[str],
    *,
    lake: Place = None,
    **options: Unpack[DiagnosisOptions],
) -> Diagnosis:
    """Attribute the lost accuracy to the stages of the pipeline and store the verdict.

    A failure mode is present when the lower bound of its loss exceeds `margin`, a share of the test
    samples. `method` and `prompt` choose which of the model's answers is diagnosed, until another
    is chosen. The self-test of the diagnosis is the command `layerhouse diagnose --self-test`.
    """
    place, named = lake_at(lake), dataset_id(dataset)
    refuse_unknown_here(place, [model], [named])
    from analysis.diagnosis import Choice, refuse_unheld

    asked = known_options("diagnose", options, DiagnosisOptions)
    choice = Choice(asked.get("method"), asked.get("prompt"))
    refuse_unheld(place, model, named, choice)
    from analysis.diagnosis import diagnose as attribute

    return attribute(
        place,
        model,
        named,
        n_resamples=asked.get("resamples", N_RESAMPLES),
        margin=asked.get("margin", MARGIN),
        seed=asked.get("seed", 0),
        choice=choice,
    )


def compare(
    model: str | None = None,
    base: str | None = None,
    dataset: str | PathLike[str] | None = None,
    *,
    resamples: int = N_RESAMPLES,
    seed: int = 0,
    lake: Place = None,
) -> tuple[list[Comparison], list[LeftOut]]:
    """Store how much two models differ on the same test samples, with paired 95% intervals.

    Without `base` a model is compared with what it came from, and without `model` every model is
    that has such a base. Gives the comparisons, and the pairs that could not be compared with the
    reason.
    """
    where, named = lake_at(lake), dataset_id(dataset) if dataset is not None else None
    refuse_unknown_here(where, filter(None, (model, base)), filter(None, (named,)))
    from analysis.comparison import compare as compare_two, compare_all

    options: dict[str, Any] = {"n_resamples": resamples, "seed": seed}
    if base is None:
        return compare_all(where, several(model), several(named), **options)
    if model is None or named is None:
        raise UsageError("--base needs --model and --dataset beside it")
    return [compare_two(where, model, base, named, **options)], []


def power(dataset: str | PathLike[str], model: str | None = None, *, lake: Place = None) -> Power:
    """The smallest losses that a dataset's test images show at 80% power, and how many more would.

    Without `model` before one was run on it, with one by how its stages differ there.
    """
    place, named = lake_at(lake), dataset_id(dataset)
    refuse_unknown_here(place, filter(None, (model,)), [named])
    from analysis.diagnosis import read_power
    from warehouse.catalogue import connect

    with connect(place) as wh:
        return read_power(wh, named, model)


@part("analysis")
def report(
    model: Several = (),
    dataset: Several = (),
    out: str | PathLike[str] = "report.html",
    *,
    images: int = 6,
    page: int = 1,
    lake: Place = None,
) -> Path:
    """Write curves, losses, verdicts, comparisons and lost images as one HTML file.

    `model` and `dataset` are one or several, all by default; `images` bounds how many lost images
    are embedded per model and stage: 0 keeps patients' images out of the file. A `page` shows 40
    models in full, best answer first. Returns its path.
    """
    names = [dataset_id(name) for name in several(dataset)]
    place = lake_at(lake)
    refuse_unknown_here(place, several(model), names)
    if Path(out).suffix.lower() not in ("", ".html", ".htm"):
        raise UsageError(
            f"{out}: the report is one page of HTML; end its name in .html (a browser prints it to "
            "PDF, and `layerhouse figures` writes each figure for a paper)"
        )
    from analysis.report import report as write

    place.refuse_own(Path(out))
    return write(place, Path(out), several(model), names, images=images, page=page)
