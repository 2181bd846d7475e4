"""A repair that is to be trained: what is asked for, where it lies, and what is saved of it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import Any

from safetensors import SafetensorError

from extract.faults import WeightFault, variant_of
from extract.mending.peers import ALONE, Peers
from extract.mending.recipe import MendEpoch, MendRecipe, best_epoch
from extract.mending.repair import Repair, TrainedRepair
from extract.mending.school import open_school, taught_samples
from extract.mending.unfinished import Unfinished
from extract.models import (
    MEND_RECORD,
    TRAINING_RECORD,
    GivenModel,
    fold_folder,
    fold_repairs,
    load_peft,
    mend_variant,
    repair_fingerprint,
)
from extract.running import leaving_a_core, open_model
from extract.sharing import (
    ExtractRequest,
    Job,
    identity_in,
    look_up,
    refuse_other_identity,
    refuse_seen_fold,
    runs_of,
    weight_faults,
)
from warehouse.errors import LayerhouseError, UsageError, said
from warehouse.files import write_at_once, write_json
from warehouse.lake import Lake, config_difference, find_runs
from warehouse.untrusted import read_object
from warehouse.variants import with_variant
from warehouse.vocabulary import ACCURACY

COMMAND = "mend"


@dataclass(frozen=True)
class MendRequest:
    """What to mend: a model as `extract` takes it, and where trained parts are saved.

    `workers` processes share the batches of a step. Where the dataset is evaluated by folds, `fold`
    is the one that is not looked at; without it a repair is one for each of them.
    """

    extract: ExtractRequest
    out: Path
    recipe: MendRecipe = field(default_factory=MendRecipe)
    workers: int = 1
    fold: int | None = None


@dataclass(frozen=True)
class Mended:
    """One trained repair: the folder that `extract --adapter` takes, and what it came to.

    `was_there` tells that an earlier call trained it; it learned from `n_train` samples, None where
    from all that the recipe allows.
    """

    repair: Repair
    folder: Path
    n_parameters: int
    history: list[MendEpoch]
    was_there: bool
    n_train: int | None = None

    @property
    def best(self) -> MendEpoch:
        return best_epoch(self.history)


@dataclass(frozen=True)
class MendJob:
    """A repair that is to be trained, or was."""

    job: Job
    repair: Repair
    folder: Path
    identity: dict[str, Any]
    fold: int | None = None

    @property
    def is_by_fold(self) -> bool:
        """Whether it is a repair for each fold of a dataset."""
        return self.fold is None and self.job.info.n_folds is not None

    @cached_property
    def taught(self) -> dict[str, list[str]]:
        """The samples that it learns from, and is chosen on."""
        return taught_samples(self.job, self.fold)

    @property
    def unfinished(self) -> Unfinished:
        rows = self.job.info.samples.select("sample_id", "split", "class_index", "sha256")
        told = rows.write_json() + ("" if self.fold is None else json.dumps(self.taught))
        taught = sha256(told.encode()).hexdigest()
        path = self.folder.with_name(f".{self.folder.name}.unfinished")
        return Unfinished(path, self.identity | {"samples": taught})

    def found(self) -> Mended | None:
        """What the folder holds. Raises LayerhouseError for another repair than this."""
        if not (self.folder / MEND_RECORD).is_file():
            return None
        record = read_object(self.folder / MEND_RECORD)
        if record.get("identity") != self.identity:
            difference = config_difference(record.get("identity") or {}, self.identity)
            raise LayerhouseError(
                f"{self.folder} holds a repair of another model, dataset, question or recipe "
                f"({difference}); give another folder with --out, or take it away"
            )
        for fold, folder in self._parts():
            refuse_seen_fold(folder, fold, self.job.info)
        history = [MendEpoch(**epoch) for epoch in record["history"]]
        n, n_train = int(record["n_parameters"]), record.get("n_train")
        return Mended(self.repair, self.folder, n, history, was_there=True, n_train=n_train)

    def _parts(self) -> Iterator[tuple[int, Path]]:
        """The repairs of single folds, with their folds."""
        if self.fold is not None:
            yield self.fold, self.folder
        elif self.is_by_fold:
            for fold, folder in enumerate(fold_repairs(self.folder)):
                if folder is not None:
                    yield fold, folder


def look_up_mend(lake: Lake, request: MendRequest, repair: Repair) -> MendJob:
    """What a request comes to for a repair. Raises as `mend` does, before a model is loaded."""
    job = look_up(lake, request.extract)
    _refuse_untrainable(job, repair)
    _refuse_idle(request)
    refuse_other_identity(job)
    name = f"{repair.stage}-{repair.name}"
    folder = request.out / (f"{name}-shuffled" if request.recipe.shuffled else name)
    identity = json.loads(json.dumps({"model": job.identity, "recipe": asdict(request.recipe)}))
    if job.info.score != ACCURACY:  # then samples weigh otherwise
        identity["score"] = job.info.score
    if job.info.n_folds is not None:
        identity["n_folds"] = job.info.n_folds
    if request.fold is not None:
        identity["fold"] = request.fold
        folder = folder / fold_folder(request.fold)
    work = MendJob(job, repair, folder, identity, request.fold)
    if request.fold is None:
        _refuse_held(lake, work, request)
    return work


def _refuse_held(lake: Lake, work: MendJob, request: MendRequest) -> None:
    """LayerhouseError where the lake holds the model with this repair trained otherwise, or another
    of its name: what is trained now could not be extracted. Runs of earlier versions do not tell
    how they were trained."""
    job, found = work.job, work.found()
    variant = mend_variant(work.repair.title, is_shuffled=request.recipe.shuffled)
    model_id = with_variant(job.source.name, variant_of(variant, job.faults))
    trained = find_runs(lake, COMMAND, model_id, job.dataset_id)
    wanted = training_of(job, request.recipe)
    for run in trained if found is None else ():
        held = run["config"].get("training", {})
        if difference := config_difference(held, {name: wanted.get(name) for name in held}):
            raise LayerhouseError(
                f"the lake holds {model_id} on {job.dataset_id}, whose repair was trained "
                f"otherwise ({difference}); train it so, mend in another lake, or take it out with "
                f"`layerhouse models remove {quote(model_id)}`"
            )
    run_with_it = runs_of(lake, model_id, job.dataset_id)
    if found is None:
        strange = [] if trained else run_with_it
    else:
        strange = _runs_of_another(lake, request, found, run_with_it)
    if strange:
        removals = " and ".join(f"`layerhouse runs remove {run['run_id']}`" for run in strange)
        raise LayerhouseError(
            f"the lake holds {model_id} on {job.dataset_id} with a repair that does not lie in "
            f"{work.folder}, as one does that was trained on another dataset; give the folder that "
            f"it lies in with --out if it was trained on {job.dataset_id}, else take it out with "
            f"{removals}"
        )


def _runs_of_another(
    lake: Lake, request: MendRequest, found: Mended, runs: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Those of these runs whose repair is not the one that was found; where that helps nothing, it
    is not run, and there is none to be told from."""
    if not runs or not found.best.number:
        return []
    mine = _adapter_in(look_up(lake, replace(request.extract, adapter=found.folder)).identity)
    return [run for run in runs if _adapter_in(identity_in(run)) != mine]


def _adapter_in(identity: Mapping[str, Any]) -> Any:
    return identity.get("model", {}).get("adapter")


def training_of(job: Job, recipe: MendRecipe) -> dict[str, Any]:
    """What decides what a repair of a job's model learns, as its run in the lake states it."""
    return asdict(recipe) | {"question": job.identity["question"]}


def train(
    work: MendJob,
    recipe: MendRecipe,
    partial: Path,
    on_epoch: Callable[[MendEpoch], None],
    peers: Peers = ALONE,
) -> Mended:
    """Train a repair; the first of several peers saves it in `partial`."""
    job = work.job
    opened = open_model(job)
    with leaving_a_core(job.device):
        school = open_school(job, opened, recipe, work.taught, work.unfinished, peers)
        trained = work.repair.train(school, on_epoch)
    n_train = trained.n_train
    if work.fold is not None and n_train is None:
        n_train = school.train.n
    n, history = trained.n_parameters, trained.history
    done = Mended(work.repair, work.folder, n, history, was_there=False, n_train=n_train)
    if not peers.rank:
        with telling_unsaved(work.folder):
            _save(partial, work, recipe, trained, done)
    return done


@contextmanager
def telling_unsaved(folder: Path) -> Iterator[None]:
    """Raise LayerhouseError where what the block writes into a repair's folder finds no room."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise LayerhouseError(
            f"the repair cannot be saved in {folder}: {said(error)}; make room there and run the "
            "command again, it goes on where it was"
        ) from error


def _refuse_idle(request: MendRequest) -> None:
    workers, accumulate = request.workers, request.recipe.accumulate
    if workers < 1:
        raise UsageError(f"--workers must be at least 1, not {workers}")
    if workers > accumulate:
        raise UsageError(
            f"{workers} workers share the batches of a step, which are {accumulate}; give "
            f"--accumulate {workers} or more, and a smaller --batch-size for the same step"
        )


def _refuse_untrainable(job: Job, repair: Repair) -> None:
    if repair.needs_peft:
        load_peft()  # told before anything is loaded, where it is missing
    if isinstance(job.source, GivenModel):
        raise UsageError("a model in memory would be changed for good; give its folder to mend it")
    if not all(isinstance(fault.kind, WeightFault) for fault in job.faults):
        raise UsageError(
            "weights are mended, and a fault of activations strikes whatever they are; leave it out"
        )
    if job.source.adapter is not None:
        raise UsageError(
            "a repair is an adapter of its own; merge the model's into its weights, and give the "
            "result as --model"
        )
    if (published := job.source.published_quantization) is not None:
        raise UsageError(
            f"a repair is merged into whole weights, and those of {job.source.name} are quantised "
            f"({published}); mend the model that it was made from"
        )
    if job.source.quantization is not None or job.source.placement.placed:
        raise UsageError(
            "a repair is merged into whole weights on one device; leave out --quantization and "
            "--device-map"
        )


def _save(
    partial: Path, work: MendJob, recipe: MendRecipe, trained: TrainedRepair, done: Mended
) -> None:
    """The repair's files, then what its model saw, then the record: a folder with it is whole."""
    trained.save(partial)
    rows, names = work.job.info.samples, sorted(chain.from_iterable(work.taught.values()))
    seen = rows.filter(rows["sample_id"].is_in(names))["sha256"]
    record = {"dataset": work.job.dataset_id, "images": sorted(seen.str.slice(0, 16))}
    write_at_once(partial / TRAINING_RECORD, lambda path: write_json(path, record))
    told: dict[str, Any] = {"fingerprint": repair_fingerprint(partial)}
    if work.fold is not None:
        told |= {"fold": work.fold, "dataset": work.job.dataset_id, "samples": names}
    write_record(partial, work, recipe, done, told)


def write_record(
    folder: Path, work: MendJob, recipe: MendRecipe, done: Mended, more: Mapping[str, Any]
) -> None:
    """What a folder with a repair says of it; `more` is said where there are folds."""
    job = work.job
    told = {
        "stage": work.repair.stage,
        "repair": work.repair.name,
        "shuffled": recipe.shuffled,
        "n_parameters": done.n_parameters,
        "n_train": done.n_train,
        "base": {
            "weights": job.source.identity()["weights"],
            "faults": weight_faults(job.faults),
        },
        "history": [asdict(epoch) for epoch in done.history],
        "identity": work.identity,
        **more,
    }
    write_at_once(folder / MEND_RECORD, lambda path: write_json(path, told))
