"""Answers: brought from other harnesses, written out, read anew, judged."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, overload

from layerhouse.functions import (
    Place,
    Several,
    known_options,
    lake_at,
    refuse_unknown_here,
    several,
)
from layerhouse.parts import part
from warehouse.devices import refuse_unknown_device
from warehouse.errors import UsageError

if TYPE_CHECKING:
    from extract.answers import ImportSummary, Judged, Reparsed
    from warehouse.progress import Progress

__all__ = ["export", "import_", "reparse"]


class AnswerOptions(TypedDict, total=False):
    """What `layerhouse answers import --help` explains; every one may be left out."""

    name: str | None
    title: str | None
    column: Mapping[str, str] | None
    letters: bool
    skip_unknown: bool
    trained_on: Several
    encoding: str | None
    delimiter: str | None


@part("extract")
def import_(
    file: str | PathLike[str],
    model: str,
    dataset: str,
    *,
    lake: Place = None,
    **options: Unpack[AnswerOptions],
) -> ImportSummary:
    """Add what another harness had a model answer, as the method `imported:<name>`.

    `column` says which column is meant by a role (`sample`, `reply`, `label`, …; `none`: no column
    is); `layerhouse answers import --help` explains the rest. All of the file or nothing enters.
    """
    given: dict[str, Any] = known_options("answers.import_", options, AnswerOptions)
    place = lake_at(lake)
    refuse_unknown_here(place, datasets=[dataset])
    from extract.answers import ImportOptions, import_answers

    given["columns"] = given.pop("column", None) or {}
    given["trained_on"] = several(given.pop("trained_on", None))
    return import_answers(place, Path(file), model, dataset, ImportOptions(**given))


@part("extract")
def export(
    model: str,
    dataset: str,
    out: str | PathLike[str],
    *,
    method: str | None = None,
    lake: Place = None,
) -> int:
    """Write a model's answers to a `.jsonl`, `.csv` or `.tsv` file; returns how many there were."""
    place = lake_at(lake)
    place.refuse_own(Path(out))
    refuse_unknown_here(place, [model], [dataset])
    from extract.answers import export_answers

    return export_answers(place, Path(out), model, dataset, method)


@overload
def reparse(
    model: str | None = None,
    dataset: str | None = None,
    *,
    judge: None = None,
    device: str | None = None,
    dry_run: bool = False,
    lake: Place = None,
    progress: Progress | None = None,
) -> list[Reparsed]: ...


@overload
def reparse(
    model: str | None = None,
    dataset: str | None = None,
    *,
    judge: str | PathLike[str],
    device: str | None = None,
    dry_run: bool = False,
    lake: Place = None,
    progress: Progress | None = None,
) -> list[Judged]: ...


@part("extract")
def reparse(
    model: str | None = None,
    dataset: str | None = None,
    *,
    judge: str | PathLike[str] | None = None,
    device: str | None = None,
    dry_run: bool = False,
    lake: Place = None,
    progress: Progress | None = None,
) -> list[Reparsed] | list[Judged]:
    """Read every stored reply anew, of one model or dataset or all, and store what reads otherwise.

    No model is run and no reply is changed. With a `judge`, a folder or what else
    `layerhouse.extract` takes as a model, that model says which class each reply names that it has
    not judged, as the method `judged:<name>`. With `dry_run` nothing is stored.
    """
    from extract.models import refuse_unknown

    place, models, abouts = lake_at(lake), filter(None, (model,)), filter(None, (dataset,))
    refuse_unknown_here(place, models, abouts)
    if device is not None:
        refuse_unknown_device(device)
    if judge is not None:
        refuse_unknown(str(judge))
    from extract.answers import judge_replies, reparse as read_anew

    if judge is None:
        if device is not None:
            raise UsageError("reading by rules needs no device; give it with a judge")
        return read_anew(place, model, dataset, dry_run=dry_run)
    return judge_replies(
        place,
        str(judge),
        model,
        dataset,
        device=device or "auto",
        dry_run=dry_run,
        progress=progress,
    )
