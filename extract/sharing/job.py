"""A job: a request to extract, with everything looked up that does not need the model itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from shlex import quote
from typing import Any

from extract.anatomy import Anatomy, Locus
from extract.datasets import fingerprints_of, resolve
from extract.faults import Fault, parse_fault, strikes_weights, variant_of
from extract.models import (
    GivenModel,
    ModelSource,
    Prompt,
    default_budget,
    lake_prompts,
    locate_processor,
)
from extract.reading import Wanted, brought_readouts, readout_named, select
from extract.sharing.asking import Asked, Prompts, Way, asked_by, read_ways
from extract.sharing.by_fold import refuse_other_folds
from extract.sharing.controls import HeldDonor, choose_image_donors, held_donors
from extract.sharing.coverage import ReplyBudget, count_ends, plan
from extract.sharing.identities import (
    as_held,
    identity_in,
    refuse_brought,
    refuse_other_readouts,
    runs_of,
)
from extract.sharing.meant import (
    answered_as_it_can,
    model_id_of,
    refuse_other_repair,
    refuse_unchangeable,
    source_of,
)
from extract.sharing.request import ExtractRequest, refuse_unmeant
from extract.sharing.seen import NOTHING_SEEN, Seen, find_seen
from warehouse.catalogue import DatasetInfo, dataset, labelled, open_tables
from warehouse.errors import LayerhouseError
from warehouse.images import MAX_PIXELS
from warehouse.lake import (
    Commit,
    Lake,
    RunSpec,
    RunWriter,
    config_difference,
    find_runs,
    list_commits,
    removed_samples,
    sample_order,
)
from warehouse.variants import MEND, changes_of
from warehouse.vocabulary import DEFAULT_PROMPT, GONE, OWN_IMAGE

COMMAND = "extract"
READOUT_VERSION = 1
"""Raised when the meaning of a readout or answer changes, so that old and new never mix."""

Readouts = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Job:
    """A request with everything looked up that can be without loading the model.

    `own` is how it is asked where its activations are taken, `swept` how besides. `looked` are the
    commits that the lake had before; `notes` what is to be read of a dataset that was registered on
    the way, and of prompts. `removed` are the places of samples that were removed from the dataset,
    `held_donors` the images that the lake's answers were asked with in the place of samples' own,
    `seen` the samples that are left out because the model was trained on them.
    """

    request: ExtractRequest
    lake: Lake
    source: ModelSource | GivenModel
    dtype: str
    device: str
    faults: tuple[Fault, ...]
    info: DatasetInfo
    own: Asked
    identity: dict[str, Any]
    looked: frozenset[str]
    swept: tuple[Asked, ...] = ()
    notes: tuple[str, ...] = ()
    removed: tuple[int, ...] = ()
    held_donors: tuple[HeldDonor, ...] = ()
    seen: Seen = NOTHING_SEEN

    @property
    def variant(self) -> str:
        return variant_of(self.source.variant, self.faults)

    @property
    def model_id(self) -> str:
        return model_id_of(self.source, self.faults)

    @property
    def dataset_id(self) -> str:
        return self.info.dataset_id

    @property
    def phrases(self) -> list[str]:
        """What the model could say: the classes' phrases; of images without labels, anything."""
        return [row.phrase for row in self.info.classes] or ["image"]

    @cached_property
    def image_donors(self) -> dict[str, dict[str, str]]:
        """Whose image is shown in the place of every sample's, by image control."""
        rows = self.info.samples.select("sample_id", "class_index", "group_id")
        controls = dict.fromkeys(each.way.image_control for each in self.swept)
        held = self.held_donors
        return {
            c: choose_image_donors(rows.iter_rows(), c, held) for c in controls if c != OWN_IMAGE
        }

    @property
    def is_by_fold(self) -> bool:
        """Whether its model is one for each fold of the dataset."""
        return isinstance(self.source, ModelSource) and bool(self.source.fold_repairs)

    @property
    def question(self) -> str:
        return self.own.question

    @property
    def prompt(self) -> Prompt:
        return self.own.prompt

    @cached_property
    def asked(self) -> dict[Way | None, Asked]:
        """Every way of asking; that of the run itself is None."""
        return {None: self.own, **{each.way: each for each in self.swept}}

    @cached_property
    def answers(self) -> tuple[str, ...]:
        """What is to be answered, each by a method in a way of asking, as commits name it."""
        asked = self.request
        if not asked.answers_only:
            return asked.methods
        ways = [None if each.way == self.own.way else each.way for each in self.swept]
        return tuple(asked_by(method, way) for way in ways for method in asked.methods)

    @cached_property
    def budget(self) -> ReplyBudget:
        asked = self.request.max_new_tokens
        if asked is not None:
            return ReplyBudget(asked, asked=True)
        tokens = default_budget(self.source, self.prompt.template)
        least = {way: each.entry.max_new_tokens or 0 for way, each in self.asked.items()}
        return ReplyBudget(max(tokens, least.pop(None)), least=least)

    @cached_property
    def counts_ends(self) -> bool:
        return count_ends(self.commits())

    @cached_property
    def order(self) -> list[str]:
        """The ids of the samples to take, in order; `GONE` where one was removed."""
        return sample_order(self.info.samples["sample_id"], self.removed)[: self.request.limit]

    @cached_property
    def places(self) -> list[int]:
        """Where in the order there is a sample."""
        return [place for place, name in enumerate(self.order) if name != GONE]

    @cached_property
    def sample_ids(self) -> list[str]:
        names = (self.order[place] for place in self.places)
        return [name for name in names if name not in self.seen.sample_ids]

    @property
    def spec(self) -> RunSpec:
        asked = self.request
        selection: dict[str, Any] = {
            **asked.loci,
            "readouts": list(asked.readouts),
            "answers": list(asked.answers),
            "limit": asked.limit,
        }
        if asked.max_pixels != MAX_PIXELS:  # another bound tries again what this one rejected
            selection["max_pixels"] = asked.max_pixels
        if asked.max_new_tokens is not None:  # left out, a run of an older lake stays the same run
            selection["max_new_tokens"] = asked.max_new_tokens
        if asked.samples is not None:
            selection |= {"samples": asked.samples, "temperature": asked.temperature}
        if asked.answers_only:
            names = dict.fromkeys(each.way.prompt_id for each in self.swept)
            selection |= {"answers": list(self.answers), "answers_only": True}
            selection |= {"prompts": list(names), "orders": asked.orders}
        config = {"identity": self.identity, "selection": selection}
        return RunSpec(COMMAND, self.model_id, self.dataset_id, config, self.device)

    def writer(self) -> RunWriter:
        """What adds ranges to the run; each is compared with every commit since the look-up."""
        return RunWriter(self.lake, self.spec, self.looked)

    def commits(self) -> list[Commit]:
        """Every commit about this model and dataset, of any selection."""
        return list_commits(
            self.lake, command=COMMAND, model_id=self.model_id, dataset_id=self.dataset_id
        )


def look_up(lake: Lake, request: ExtractRequest) -> Job:
    refuse_unmeant(request)
    faults = tuple(parse_fault(spec) for spec in request.faults)
    source, device, dtype = source_of(request)
    if strikes_weights(faults):
        refuse_unchangeable(source)
    notes: list[str] = []
    request = answered_as_it_can(request, source, warn=notes.append)
    dataset_id = resolve(lake, request.dataset, warn=notes.append)  # which may register it
    looked = frozenset(lake.store.commit_names())
    with open_tables(lake) as wh:
        info = dataset(wh, dataset_id)
        refuse_other_readouts(wh)
        stored = lake_prompts(wh)
        donors = held_donors(wh, dataset_id) if request.image_controls else []
        seen = find_seen(wh, info, source, request.trained_on, model_id_of(source, faults))
    removed = removed_samples(lake).get(dataset_id, {}).values()
    if not info.classes:
        request = _without_answers(request, info)
    refuse_brought(lake, model_id_of(source, faults))
    runs = find_runs(lake, COMMAND, model_id_of(source, faults), dataset_id)
    held = [identity_in(run) for run in runs]
    identity: dict[str, Any] = {
        "model": source.identity(),
        "dtype": dtype,
        "faults": [str(fault) for fault in faults],
        "dataset": _fingerprint(lake, dataset_id, held if not faults else ()),
        "readout_version": READOUT_VERSION,
        **seen.identity(held),
    }
    refuse_other_repair(source, identity["model"], faults)
    refuse_other_folds(source, info, faults)
    prompts = Prompts(request.prompts, request.system, request.orders, request.image_controls)
    if request.answers_only:
        labelled(info, "a sweep of prompts")
    own, swept, told = prompts.asked(source, info, stored, held if request.answers_only else None)
    identity |= {"question": own.question, "prompt": own.prompt.identity()}
    if own.entry.name != DEFAULT_PROMPT:
        identity["prompt_id"] = own.entry.name
    identity, of_before = as_held(identity, held, source, new_prompt=own.prompt.template.is_new)
    told += of_before
    known = (request, lake, source, dtype, device, faults, info, own, identity, looked, swept)
    said = tuple(dict.fromkeys([*notes, *seen.notes, *told]))
    return Job(*known, said, tuple(removed), tuple(donors), seen)


def _fingerprint(lake: Lake, dataset_id: str, held: Sequence[Mapping[str, Any]]) -> str:
    """A dataset's, as the identities state it that a lake holds: it is the same images whatever
    folds or groups they were put into since. Not so under a fault, which has a share of every split
    and learns of train: nothing is `held` then."""
    known = fingerprints_of(lake, dataset_id)
    return next((one["dataset"] for one in held if one.get("dataset") in known), known[0])


def prompt_for(lake: Lake, model: str, dataset_name: str) -> Prompt:
    """What a model would be asked with every image of a dataset; its weights are not needed."""
    source = locate_processor(model)
    dataset_id = resolve(lake, dataset_name)
    with open_tables(lake) as wh:
        info = dataset(wh, dataset_id)
    entry = Prompts().one({}, info)
    phrases = [row.phrase for row in info.classes]
    return read_ways(source, [(Way(entry.name), entry)], phrases)[0].prompt


def _without_answers(request: ExtractRequest, info: DatasetInfo) -> ExtractRequest:
    """The request for images without labels: nothing that rests on classes can be had of them."""
    if request.faults:
        labelled(info, "a fault")
    if any(readout_named(name).facts.follows_a_reply for name in request.readouts):
        labelled(info, "a readout behind replies")
    if request.samples is not None:
        labelled(info, "a majority of samples")
    return replace(request, answers=())


def refuse_other_identity(job: Job) -> None:
    """One (model, dataset) of a lake is one set of numbers; anything else needs another name."""
    for run in runs_of(job.lake, job.model_id, job.dataset_id):
        difference = config_difference(identity_in(run), job.identity)
        if difference:
            # A repair is named by its record, whatever its folder is called.
            is_repair = any(kind == MEND for kind, _ in changes_of(job.variant))
            other = "" if is_repair else "a model folder of another name, "
            raise LayerhouseError(
                f"the lake holds {job.model_id} on {job.dataset_id} under another configuration "
                f"({difference}); use {other}another lake, or take it out with `layerhouse models "
                f"remove {quote(job.model_id)}`"
            )


def is_other_identity(job: Job, commit: Commit) -> bool:
    """Whether a commit about the same model and dataset was made under another configuration."""
    return identity_in(commit.row) != job.identity


def known_structure(job: Job) -> tuple[Anatomy, Readouts] | None:
    """Loci and their readouts as an earlier run of the same model found them.

    A run that knew nothing of a readout that a package brings since has not looked for it.
    """
    brought = set(brought_readouts())
    for commit in job.commits():
        if "anatomy" in commit.covers:
            anatomy, readouts = structure_of(commit.covers)
            if brought <= {name for names in readouts.values() for name in names}:
                return anatomy, readouts
    return None


def structure_of(covers: Mapping[str, Any]) -> tuple[Anatomy, Readouts]:
    """Loci and their readouts from what the first commit of a run covers."""
    found = dict(covers["anatomy"])
    loci = tuple(Locus(**locus) for locus in found.pop("loci"))
    readouts = {name: tuple(read) for name, read in covers["readouts"].items()}
    return Anatomy(loci=loci, **found), readouts


def job_is_done(job: Job) -> bool:
    """Whether commits cover all of the request, as far as can be told without the model."""
    known = known_structure(job)
    if known is None:
        return False
    wanted, commits = wanted_by(job, *known), job.commits()
    asked, run_id = job.answers, job.spec.run_id
    return not plan(commits, job.places, wanted, asked, run_id=run_id, budget=job.budget)


def wanted_by(job: Job, anatomy: Anatomy, readouts: Readouts) -> Wanted:
    asked = job.request
    if asked.answers_only or job.is_by_fold:
        return ()
    return select(
        anatomy, readouts, modules=asked.modules, layers=asked.layers, readouts=asked.readouts
    )
