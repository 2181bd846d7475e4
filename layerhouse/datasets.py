"""Labelled images: registered once, every model is then run on the same samples and splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from layerhouse.functions import Place, connect, known_options, lake_at, refuse_unknown_here
from layerhouse.parts import part
from warehouse.errors import LayerhouseError, UsageError
from warehouse.progress import Progress

if TYPE_CHECKING:
    from analysis.audit import Audit
    from extract.datasets import AddOptions, AddResult, Folded
    from warehouse.lake import Removal, SampleRemoval

__all__ = ["add", "audit", "fold", "remove", "score"]

_OF_PIXELS = ("frame", "range", "window", "background")


class DatasetOptions(TypedDict, total=False):
    """What `layerhouse datasets add --help` explains; every one may be left out."""

    title: str | None
    licence: str | None
    phrase: Mapping[str, str] | None
    column: Mapping[str, str] | None
    encoding: str | None
    delimiter: str | None
    label_separator: str | None
    missing: str | None
    uncertain: str | None
    images: str | PathLike[str] | None
    unlabelled: bool
    frame: int | str | None
    range: str | Sequence[float] | None
    window: str | Sequence[float] | None
    background: str | None
    preview: str | PathLike[str] | None
    skip_bad: bool
    rejected: str | PathLike[str] | None
    plain_patient_ids: bool
    folds: int | None
    score: str | None


@overload
def add(
    name: str,
    path: str | PathLike[str],
    *,
    per_label: Literal[False] = False,
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[DatasetOptions],
) -> AddResult: ...


@overload
def add(
    name: str,
    path: str | PathLike[str],
    *,
    per_label: Literal[True],
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[DatasetOptions],
) -> list[AddResult]: ...


@part("extract")
def add(
    name: str,
    path: str | PathLike[str],
    *,
    per_label: bool = False,
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[DatasetOptions],
) -> AddResult | list[AddResult]:
    """Register the labelled images at `path` as `name`.

    `path` is a folder of classes, a table of images (CSV, Parquet or JSON), COCO, a MedMNIST .npz,
    a DICOM folder or a Hugging Face dataset; `phrase` says how a class is spelled in the prompt, by
    its label, and `column` which column of a table is meant by `image_path`, `label`, `split` and
    `group_id`. `preview` is a PNG file to write images of each class to, `rejected` a CSV file that
    lists every image that cannot be used, `folds` how many folds it is evaluated by instead of its
    split (see `fold`), `score` what everything on it rests on (default: `balanced_accuracy` where
    one class holds more than 1.25 times its even share, else `accuracy`).

    With `per_label` one yes/no dataset per finding is registered and a list comes back. Raises
    UsageError for what cannot be meant and LayerhouseError for everything wrong with the data.
    """
    from extract.datasets import add as register, add_per_label, check_folds, preview

    given = known_options("datasets.add", options, DatasetOptions)
    out, folds = given.pop("preview", None), given.pop("folds", None)
    if folds is not None:
        check_folds(folds)  # before anything is registered
    place, chosen = lake_at(lake), _chosen(given)
    for file in filter(None, (out, chosen.rejected)):
        place.refuse_own(Path(file))
    register_all = add_per_label if per_label else register
    done = register_all(place, name, str(path), chosen, progress)
    results = done if isinstance(done, list) else [done]
    names = [result.dataset_id for result in results]
    with _told_as_registered(names):
        for each in names if folds is not None else ():
            fold(each, folds=folds, lake=place)
        if out:
            preview(place, names, out)
    return done


@contextmanager
def _told_as_registered(names: Sequence[str]) -> Iterator[None]:
    """Say of what fails inside that the datasets are in the lake all the same."""
    try:
        yield
    except LayerhouseError as error:
        are = "is" if len(names) == 1 else "are"
        raise LayerhouseError(f"{', '.join(names)} {are} registered, but {error}") from error


@part("extract")
def fold(name: str, *, folds: int, into: str | None = None, lake: Place = None) -> Folded:
    """Evaluate a registered dataset by `folds` folds instead of its split.

    Every sample is scored then, by probes and baselines that saw nothing of its group: whole groups
    are dealt to folds, four times over, the same for every model. A model's answers are scored on
    all samples, which is right only of a model that was not trained on them. What was extracted
    stays. Refused where probes, baselines or diagnoses rest on the split; `into` names a new
    dataset of the same images for that. Raises UsageError for fewer than 3 folds, LayerhouseError
    where a class is in too few groups.
    """
    place = lake_at(lake)
    refuse_unknown_here(place, datasets=[name])
    from extract.datasets import fold as deal

    return deal(place, name, folds, into)


@part("extract")
def score(name: str, score: str, *, lake: Place = None) -> bool:
    """Rest everything on a registered dataset on `score`, `accuracy` or `balanced_accuracy`.

    Whether it rested on the other one. No probe, answer or baseline is made anew; every number of
    the views follows, and a diagnosis made for the other score counts as none until `diagnose` is
    run again. Raises UsageError for an unknown dataset or score.
    """
    place = lake_at(lake)
    refuse_unknown_here(place, datasets=[name])
    from extract.datasets import set_score

    return set_score(place, name, score)


def audit(
    name: str,
    *,
    unite: bool = False,
    into: str | None = None,
    lake: Place = None,
    progress: Progress | None = None,
) -> Audit:
    """Look for what is wrong with a registered dataset's images, and store what was found.

    Near-duplicates across splits, groups and labels, blank images, splits too small to say much,
    facts that alone read the class, and labels that every probe, baseline and answer speaks
    against. `unite` makes one group of the groups that near-duplicates join; `into` names a new
    dataset for that, which also keeps each group in one split. What comes back is about the dataset
    as it was audited, or about the new one.
    """
    if into is not None and not unite:
        raise UsageError("--into names the dataset that --unite makes; add --unite")
    place = lake_at(lake)
    refuse_unknown_here(place, datasets=[name])
    with part("analysis"):
        from analysis.audit import audit as look, linked_samples

        found = look(place, name, progress)
        if not unite:
            return found
        with connect(place) as wh:
            pairs = linked_samples(wh, name)
    with part("extract"):
        from extract.datasets import unite as join

        united = join(place, name, pairs, into)
    with part("analysis"):
        again = look(place, united.dataset_id, progress)
    return replace(again, n_joined=united.n_joined, n_moved=united.n_moved)


def _chosen(options: Mapping[str, Any]) -> AddOptions:
    from extract.datasets import AddOptions, ReadOptions, pixel_options

    given = {key: value for key, value in options.items() if value is not None}
    renamed = {"column": "columns", "label_separator": "separator"}
    reading: dict[str, Any] = {
        renamed.get(key, key): str(value) if key == "images" else value
        for key, value in given.items()
        if key not in ("title", "licence", "score", "phrase", "rejected", *_OF_PIXELS)
    }
    pixels = pixel_options(*(given.get(key) for key in _OF_PIXELS))
    options_of_it = {key: given[key] for key in ("title", "licence", "score") if key in given}
    return AddOptions(
        **options_of_it,
        phrases=given.get("phrase", {}),
        rejected=Path(given["rejected"]) if given.get("rejected") else None,
        reading=ReadOptions(**reading),
        pixels=pixels,
    )


def remove(
    name: str,
    *,
    sample: Sequence[str] | None = None,
    group: Sequence[str] | None = None,
    with_dependents: bool = False,
    dry_run: bool = False,
    lake: Place = None,
) -> Removal | SampleRemoval:
    """Take a dataset out of the lake; it may then be added anew, with other content.

    Where samples are named by `sample`, or all those of a `group` (a patient), only these go, for
    good: their rows, what was extracted of them and answered about them. What rests on what goes
    (extractions of a dataset; probes, baselines and diagnoses over all samples) goes too
    `with_dependents`, and is refused otherwise. With `dry_run` nothing is done and what would be is
    returned. Raises UsageError for a sample or group that the dataset does not have, and where
    none is named by what names some.
    """
    from warehouse.lake import remove as take_out, remove_samples

    place, ways = lake_at(lake), {"with_dependents": with_dependents, "dry_run": dry_run}
    if sample is None and group is None:
        return take_out(place, "dataset", name, **ways)
    if not sample and not group:  # which must not mean all of them
        raise UsageError(f"no sample of {name} is named; leave sample and group out to remove all")
    return remove_samples(place, name, sample or (), group or (), **ways)
