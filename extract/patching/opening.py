"""Opening: the models of a patch job loaded and checked, ready to run batches of its samples."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from extract.anatomy import Locus
from extract.faults import Injector, end_of
from extract.patching.donations import Donation, between_images, between_models, partners
from extract.patching.intervention import Wanted, how_done
from extract.patching.job import PatchJob, refuse_other_structure
from extract.patching.patcher import Patcher
from extract.patching.request import loci_of, wanted_of
from extract.patching.rows import effect_table
from extract.patching.sides import Side, attached
from extract.patching.splicing import Splice
from extract.running import (
    BatchSize,
    OpenedModel,
    Prepared,
    Preparer,
    batch_size_for,
    learned_by,
    open_model,
    preparer_of,
)
from extract.sharing import Job, Way
from warehouse.vocabulary import MODULES


@dataclass(frozen=True)
class Opened:
    """A patch job's models: `prepare` makes batches for the receiver and for the donors' side, of
    what is `wanted`; `ends` are the loci, by name, where stages end, found where two models are
    compared. `models` are the loaded ones with their jobs; `notes` are worth showing.
    """

    job: PatchJob
    patcher: Patcher
    prepare: Callable[[Sequence[str]], tuple[Prepared, Prepared]]
    wanted: Wanted
    ends: frozenset[str]
    batch_size: BatchSize
    models: Sequence[tuple[Job, OpenedModel]]
    notes: tuple[str, ...]

    @property
    def passes(self) -> int:
        return self.patcher.passes

    @property
    def covers(self) -> Mapping[str, Any]:
        return {}

    def passes_of(self, wanted: Wanted) -> int:
        """Once for a sample's own answer, once for each donor, once for every patch."""
        controls = {how_done(one)[1] for _, put in wanted for one in put}
        given = [one for one in self.patcher.donations if controls & set(one.controls)]
        return 1 + len(given) + sum(len(put) for _, put in wanted)

    def table(self, prepared: Prepared, given: Prepared, wanted: Wanted) -> pa.Table:
        effects = self.patcher.effects(prepared, given, wanted)
        return effect_table(self.job, effects, self.ends)


@contextmanager
def opened(job: PatchJob) -> Iterator[Opened]:
    """The models, their hooks registered for the length of a block."""
    mine = open_model(job.receiver)
    if job.donor is None:
        with _between_images(job, mine) as ready:
            yield ready
        return
    theirs = open_model(job.donor, MODULES)
    refuse_other_structure(job, mine.session.anatomy.loci, theirs.session.anatomy.loci)
    # Where stages end is asked of the better model: in a broken one nothing may get past anything.
    loci = loci_of(job.request, theirs.session)
    ends = frozenset(end_of(theirs.session, stage).name for stage in MODULES)
    receiver = side_of(job.receiver, mine, loci)
    donations = between_models(side_of(job.donor, theirs, loci), job.sample_ids)
    models = [(job.receiver, mine), (job.donor, theirs)]
    patcher = Patcher(receiver, donations)
    with attached(receiver, donations[0].side):
        yield _opened(job, patcher, loci, models, ends)


@contextmanager
def _between_images(job: PatchJob, mine: OpenedModel) -> Iterator[Opened]:
    """One model, which gives itself states of other images."""
    assert job.image_donors is not None
    loci = loci_of(job.request, mine.session)
    # What stands in for another locus is one of its module, chosen or not.
    watched = [one for one in mine.session.anatomy.loci if one.on_path]
    receiver = side_of(job.receiver, mine, watched)
    own, controls = job.receiver.own.way, job.request.controls
    found = partners(mine.session, loci, _shapes(receiver, mine, watched)) if controls else {}
    donations = between_images(receiver, job.image_donors, own, controls=controls)
    patcher = Patcher(receiver, donations, found)
    with attached(receiver):
        yield _opened(job, patcher, loci, [(job.receiver, mine)], frozenset())


def _opened(
    job: PatchJob,
    patcher: Patcher,
    loci: Sequence[Locus],
    models: Sequence[tuple[Job, OpenedModel]],
    ends: frozenset[str],
) -> Opened:
    session = patcher.receiver.session
    wanted, notes = wanted_of(job.request, session, loci, list(patcher.partners))
    size = batch_size_for(job.receiver, batching=all(model.batching for _, model in models))
    prepare = _preparing(job, models, patcher.donations)
    lines = (line for _, model in models for line in model.lines)
    said = tuple(dict.fromkeys((*lines, *notes, *deaf_behind(models[0][1]))))
    return Opened(job, patcher, prepare, wanted, ends, size, models, said)


def deaf_behind(model: OpenedModel) -> tuple[str, ...]:
    """Says where nothing that is done to states changes an answer, of a model whose repair answers
    of what it hears on the way."""
    part = model.questions[None].part
    if part is None or not part.listens:
        return ()
    last = part.listener.places[-1].path
    return (f"it answers of what {last} and others before it are given: behind it no state counts",)


def side_of(job: Job, model: OpenedModel, loci: Sequence[Locus]) -> Side:
    """A model as a side, its faults ready and its splice at these loci."""
    session, injector = model.session, None
    if job.faults:
        size = batch_size_for(job, batching=model.batching).now
        learned = learned_by(job, session, size)
        injector = Injector(session, job.faults, model.phrases, learned)
    return Side(session, model.questions[None], Splice(session, loci), injector)


def _shapes(side: Side, model: OpenedModel, loci: Sequence[Locus]) -> dict[str, object]:
    """The shapes of states at loci, by name, as one image has them."""
    with attached(replace(side, injector=None)):
        inputs = side.session.encode([model.image])
        with replace(side, injector=None).running((inputs, {}), ["an image"]) as run:
            _, states = run.given(loci)
    return {name: tuple(each[at].shape for at in sorted(each)) for name, each in states.items()}


def _preparing(
    job: PatchJob, models: Sequence[tuple[Job, OpenedModel]], donations: Sequence[Donation]
) -> Callable[[Sequence[str]], tuple[Prepared, Prepared]]:
    """What prepares samples for the receiver and for another model that gives, if there is one."""
    ways = [donation.way for donation in donations if not donation.is_other_model]
    shown = {} if job.image_donors is None else job.image_donors.shown()
    preparers = [showing(one, model, shown) for one, model in models]

    def prepare(names: Sequence[str]) -> tuple[Prepared, Prepared]:
        mine = preparers[0](names, (None, *ways))
        if len(preparers) == 1:
            return mine, mine
        theirs = preparers[1](mine.sample_ids)
        if theirs.rejected:  # what one of the two cannot use, neither does
            rejected = {**mine.rejected, **theirs.rejected}
            mine = replace(preparers[0](theirs.sample_ids, (None, *ways)), rejected=rejected)
        return mine, theirs

    return prepare


def showing(one: Job, model: OpenedModel, shown: Mapping[str, Mapping[str, str]]) -> Preparer:
    """What prepares samples for a model, and those that are `shown` in their place by control."""
    own = one.own.way
    ways = [Way(own.prompt_id, own.option_order, control) for control in shown]
    return preparer_of(one, model.session, dict.fromkeys(ways, one.prompt.text), shown)
