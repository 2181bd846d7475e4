"""`layerhouse.mend`: repairs of a model's stages, trained, run and judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from layerhouse.functions.arguments import Place, Several, known_options, lake_at, several
from layerhouse.functions.names import (
    refuse_unknown_here,
    refuse_unknown_repairs,
    refuse_unknown_to_run,
)
from layerhouse.functions.running import requested
from layerhouse.parts import part
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.lake import Lake
from warehouse.variants import making, taken_apart
from warehouse.vocabulary import STAGES

if TYPE_CHECKING:
    from analysis.diagnosis import Recovery
    from extract.mending import (
        Mended,
        MendEpoch,
        MendOutlook,
        MendRecipe,
        MendRequest,
        Repair,
    )
    from extract.sharing import ExtractRequest, Job

    OnEpoch = Callable[[Repair, MendEpoch], None]

AUTO, EVERY = "auto", "all"
OF_THE_MODEL = ("stage", "repair", "fault", "prompt", "budget", "device", "dtype", "workers")
"""Options that say what is mended, how long and where; the others are the recipe's."""
OF_THE_EXTRACTION = ("fault", "prompt", "device", "dtype")


class MendOptions(TypedDict, total=False):
    """What `layerhouse mend --help` explains; every one may be left out."""

    stage: str
    repair: Several
    fault: Several
    prompt: Several
    shuffled_labels: bool
    epochs: int
    patience: int
    learning_rate: float | None
    batch_size: int
    accumulate: int
    rank: int
    seed: int
    budget: Several
    checkpointing: bool
    device: str
    dtype: str
    workers: int


@dataclass(frozen=True)
class Mending:
    """What `mend` did: the repairs that it trained or found, and what all of the model's bring."""

    model_id: str
    dataset_id: str
    mended: tuple[Mended, ...]
    recoveries: tuple[Recovery, ...]

    @property
    def advised(self) -> Recovery | None:
        """The sufficient repair with the fewest parameters, chosen on val; None if none gains."""
        return next((one for one in self.recoveries if one.is_advised), None)


@overload
def mend(
    model: str | PathLike[str],
    dataset: str | PathLike[str],
    *,
    out: str | PathLike[str] | None = None,
    dry_run: Literal[False] = False,
    lake: Place = None,
    on_epoch: OnEpoch | None = None,
    **options: Unpack[MendOptions],
) -> Mending: ...


@overload
def mend(
    model: str | PathLike[str],
    dataset: str | PathLike[str],
    *,
    out: str | PathLike[str] | None = None,
    dry_run: Literal[True],
    lake: Place = None,
    on_epoch: OnEpoch | None = None,
    **options: Unpack[MendOptions],
) -> MendOutlook: ...


@part("extract")
def mend(
    model: str | PathLike[str],
    dataset: str | PathLike[str],
    *,
    out: str | PathLike[str] | None = None,
    dry_run: bool = False,
    lake: Place = None,
    on_epoch: OnEpoch | None = None,
    **options: Unpack[MendOptions],
) -> Mending | MendOutlook:
    """Train repairs of a stage on train, choose on val, and judge them on test.

    `stage` is one of the pipeline's, `all`, or `auto`: those of the repairs that are named, else
    those whose failure mode the diagnosis finds. Each repair becomes a folder below `out` (by
    default `mended/MODEL/DATASET`) that `extract` takes as an adapter; it is extracted, and
    compared with the model as it is. What is there already is not trained again. The model must be
    extracted on the dataset; `fault` are those of weights that it was extracted with, and
    `on_epoch` is told of every epoch; `layerhouse mend --help` explains the options. With `dry_run`
    nothing is trained or written, and what it would cost is returned instead. Raises UsageError for
    a stage or repair that is none, LayerhouseError for a model that is not in the lake and where
    `auto` finds no loss.
    """
    place, chosen = lake_at(lake), known_options("mend", options, MendOptions)
    stage, named = chosen.get("stage", AUTO), several(chosen.get("repair", ()))
    if stage not in (AUTO, EVERY, *STAGES):
        raise UsageError(f"unknown stage {stage!r}{nearest(stage, (AUTO, EVERY, *STAGES))}")
    refuse_unknown_repairs(named)
    _refuse_elsewhere(stage, named)
    recipe = _recipe(chosen)
    refuse_unknown_here(place)
    _refuse_changed(str(model))
    refuse_unknown_to_run(place, str(model), str(dataset), chosen)
    from extract.mending import MendRequest, look_up_mend, outlook, repairs_of
    from extract.sharing import look_up

    extraction = _extraction(str(model), str(dataset), chosen)
    job = look_up(place, extraction)
    stages = _stages(place, job, EVERY if named else stage)
    repairs = repairs_of(stages, named)
    folder = Path(out) if out is not None else Path("mended", job.model_id, job.dataset_id)
    place.refuse_own(folder)
    request = MendRequest(extraction, folder, recipe, chosen.get("workers", 1))
    if dry_run:
        return outlook(place, request, repairs)
    for each in repairs:  # what one of them is refused for is told before another is trained
        look_up_mend(place, request, each)
    mended = [_one(place, job, request, each, on_epoch) for each in repairs]
    return Mending(job.model_id, job.dataset_id, tuple(mended), _recoveries(place, job))


def _refuse_elsewhere(stage: str, named: Iterable[str]) -> None:
    """UsageError for a named repair of another stage than the one that is to be mended."""
    for title in named:
        if stage not in (AUTO, EVERY) and not title.startswith(f"{stage}/"):
            raise UsageError(
                f"{title} is no repair of {stage}; give its own --stage, or leave --stage out: a "
                "repair that is named says its stage"
            )


def _refuse_changed(model: str) -> None:
    """UsageError for the name of a variant whose weights no repair can be trained on; of what was
    done to a model, faults alone are options here."""
    name, changes = taken_apart(model)
    for kind, _ in changes if not Path(model).exists() else ():
        if kind in ("adapter", "mend"):
            raise UsageError(
                f"a repair is an adapter of its own, and {model} has one; merge it into the "
                f"weights of {name}, and give the result as --model"
            )
        if kind == "quantization":
            raise UsageError(
                f"a repair is merged into whole weights, and those of {model} are packed; mend "
                f"{name} as it is"
            )


def _extraction(model: str, dataset: str, options: Mapping[str, Any]) -> ExtractRequest:
    asked = {name: given for name, given in options.items() if name in OF_THE_EXTRACTION}
    return requested(model, dataset, asked)


def _recipe(options: Mapping[str, Any]) -> MendRecipe:
    from extract.mending import MendRecipe

    named = {"shuffled_labels": "shuffled"}
    given = {
        named.get(name, name): value for name, value in options.items() if name not in OF_THE_MODEL
    }
    for text in several(options.get("budget", ())):
        number = text.removesuffix("min")
        if not number.isdecimal() or int(number) < 1:
            raise UsageError(f"the budget {text!r} is neither images, 500, nor minutes, 30min")
        what = "images" if number == text else "minutes"
        if what in given:
            raise UsageError(f"the budget is told twice in {what}; give it once")
        given[what] = int(number)
    rate = given.get("learning_rate")
    if rate is not None and not 0 < rate < inf:  # of not a number, neither holds
        raise UsageError(f"a learning rate must be finite and above 0, not {rate:g}")
    return MendRecipe(**given)


def _stages(lake: Lake, job: Job, stage: str) -> tuple[str, ...]:
    """The stages to mend; the model must be in the lake, and `auto` needs its diagnosis."""
    names = [job.model_id, job.dataset_id]
    from warehouse.catalogue import connect

    with connect(lake) as wh:
        known = wh.sql(
            "FROM stage_signal WHERE model_id = $1 AND dataset_id = $2 AND stage = 'answer'", names
        ).fetchall()
        present = wh.sql(
            "SELECT stage.stage FROM failure_mode AS mode JOIN stage USING (failure_mode) "
            "WHERE model_id = $1 AND dataset_id = $2 AND mode.is_present "
            "ORDER BY stage.stage_order",
            names,
        ).fetchall()
    if not known:
        raise LayerhouseError(
            f"{job.model_id} has no answers on {job.dataset_id} that a repair could be held "
            f"against; run `layerhouse extract {making(job.model_id, job.dataset_id)}` first"
        )
    if stage != AUTO:
        return STAGES if stage == EVERY else (stage,)
    if not present:
        raise LayerhouseError(
            f"the diagnosis finds no stage of {job.model_id} that loses the class of "
            f"{job.dataset_id}; diagnose it, or name what to mend with --stage"
        )
    return tuple(row[0] for row in present)


def _one(
    lake: Lake, job: Job, request: MendRequest, repair: Repair, on_epoch: OnEpoch | None
) -> Mended:
    """Train a repair, run the model with it, store how it did on val and on test."""
    from analysis.comparison import compare
    from extract.engines import extract_with_workers
    from extract.mending import mend as train, note_useless, store_mended

    def told(epoch: MendEpoch) -> None:
        if on_epoch is not None:
            on_epoch(repair, epoch)

    mended = train(lake, request, repair, told)
    if not mended.best.number:  # the model with it is the model without it
        note_useless(lake, job, request.recipe, repair)
        return mended
    repaired = replace(request.extract, adapter=mended.folder)
    summary = extract_with_workers(lake, repaired, request.workers)
    store_mended(lake, job, request.recipe, mended, summary.model_id)
    compare(lake, summary.model_id, job.model_id, job.dataset_id)
    return mended


def _recoveries(lake: Lake, job: Job) -> tuple[Recovery, ...]:
    from analysis.diagnosis import read_recoveries
    from warehouse.catalogue import connect

    with connect(lake) as wh:
        return read_recoveries(wh, job.model_id, job.dataset_id)
