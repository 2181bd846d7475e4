"""A patch job: a request with everything looked up that does not need the models themselves."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from extract.anatomy import Locus
from extract.patching.donations import ImageDonors, SampleRow
from extract.patching.patcher import Wanted
from extract.patching.request import PatchRequest
from extract.sharing import (
    Job,
    Range,
    look_up,
    plan,
    refuse_other_identity,
)
from warehouse.catalogue import labelled
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Commit, Lake, RunSpec, config_difference, find_runs, list_commits
from warehouse.vocabulary import LIKELIHOOD

COMMAND = "patch"


@dataclass(frozen=True)
class PatchJob:
    """Whose states are put into whom, on which samples; `donor` is None where it is the receiver
    itself with other images.
    """

    request: PatchRequest
    lake: Lake
    receiver: Job
    donor: Job | None

    @property
    def dataset_id(self) -> str:
        return self.receiver.dataset_id

    @property
    def donor_id(self) -> str:
        """The model whose states are put."""
        return (self.donor or self.receiver).model_id

    @cached_property
    def rows(self) -> list[SampleRow]:
        """The samples that are scored, by the dataset's mixed order, seen by neither model."""
        seen = self.receiver.seen.sample_ids | (self.donor or self.receiver).seen.sample_ids
        samples = self.receiver.info.samples
        scored = samples.filter(samples["split"] == "test").select(
            "sample_id", "class_index", "group_id"
        )
        known = {row[0]: row for row in scored.iter_rows() if row[0] not in seen}
        return [known[name] for name in self.receiver.order if name in known]

    @cached_property
    def sample_ids(self) -> list[str]:
        """The samples that are patched."""
        return [row[0] for row in self.rows[: self.request.most_samples]]

    @cached_property
    def classes(self) -> dict[str, int]:
        return {name: class_index for name, class_index, _ in self.rows}

    @cached_property
    def image_donors(self) -> ImageDonors | None:
        return None if self.donor is not None else ImageDonors.among(self.rows)

    @cached_property
    def places(self) -> list[int]:
        """Where in the order there is a sample, up to the last one that is patched."""
        last = self.receiver.order.index(self.sample_ids[-1])
        return [place for place in self.receiver.places if place <= last]

    def names(self, one: Range) -> list[str]:
        """The samples of a range that are patched."""
        wanted = set(self.sample_ids)
        return [name for name in self.receiver.order[one.start : one.stop] if name in wanted]

    @property
    def spec(self) -> RunSpec:
        asked = self.request.receiver
        layers = asked.layers if isinstance(asked.layers, int) else list(map(str, asked.layers))
        config: dict[str, Any] = {
            "identity": self.receiver.identity,
            "selection": {
                "modules": list(asked.modules),
                "layers": layers,
                "tokens": list(self.request.tokens),
                "controls": self.request.controls,
                "limit": self.request.most_samples,
                "prompts": list(asked.prompts),
            },
        }
        if self.donor is not None:
            config |= {"base": self.donor_id, "donor": self.donor.identity}
        receiver = self.receiver
        return RunSpec(COMMAND, receiver.model_id, self.dataset_id, config, receiver.device)

    def commits(self) -> list[Commit]:
        """Every commit of patches from the donor into the receiver, of any selection."""
        mine = self.receiver.model_id, self.dataset_id
        found = list_commits(self.lake, command=COMMAND, model_id=mine[0], dataset_id=mine[1])
        return [commit for commit in found if self.is_mine(commit)]

    def is_mine(self, commit: Commit) -> bool:
        return commit.covers.get("donor") == self.donor_id

    def lacking(self, wanted: Wanted, start: int = 0, stop: int | None = None) -> list[Range]:
        """What no commit covers of samples start … stop-1 of the order; by default of all."""
        last = self.places[-1] + 1 if stop is None else stop
        places = [place for place in self.places if start <= place < last]
        found = plan(self.commits(), places, wanted, (), run_id=self.spec.run_id)
        return [one for one in found if self.names(one)]

    def known_wanted(self) -> Wanted | None:
        """What an earlier run of the same request found to be wanted, if there was one."""
        for commit in self.commits():
            if commit.run_id == self.spec.run_id and "due" in commit.covers:
                return [(Locus(**locus), tuple(put)) for locus, put in commit.covers["due"]]
        return None

    def rejected(self) -> dict[str, str]:
        """The samples that this run could not use, and why."""
        order = self.receiver.order
        return {
            order[place]: reason
            for commit in self.commits()
            if commit.run_id == self.spec.run_id and "rejected" in commit.covers
            for place, reason in zip(
                commit.covers["rejected"], commit.covers["reasons"], strict=True
            )
            if order[place] in self.classes
        }


def described(wanted: Wanted, donor_id: str) -> dict[str, Any]:
    """What the first commit of a run covers."""
    return {"donor": donor_id, "due": [[asdict(locus), list(put)] for locus, put in wanted]}


def look_up_patch(lake: Lake, request: PatchRequest) -> PatchJob:
    """Raises UsageError for what cannot be meant, LayerhouseError where the lake holds one of the
    models under another configuration.
    """
    request.refuse_unmeant()
    receiver = look_up(lake, _by_likelihood(request.receiver))
    labelled(receiver.info, "a patch")
    donor = None
    if request.donor is not None:
        donor = look_up(lake, _by_likelihood(request.donor))
    job = PatchJob(request, lake, receiver, donor)
    _refuse_unfit(job)
    if not job.sample_ids:
        raise LayerhouseError(f"{job.dataset_id} has no sample that both models could be scored on")
    for one in filter(None, (receiver, donor)):
        refuse_other_identity(one)
    _refuse_other_donor(job)
    return job


def _by_likelihood(request: Any) -> Any:
    return replace(request, answers=(LIKELIHOOD,))


def _refuse_unfit(job: PatchJob) -> None:
    """States fit only into a model that is asked the same; its own change nothing."""
    if job.donor is None:
        return
    if job.donor.model_id == job.receiver.model_id:
        raise UsageError(
            f"{job.donor_id} would get its own states, which changes nothing; name a better model "
            "or variant with --from, or leave that out for patches between images"
        )
    if job.donor.prompt.text != job.receiver.prompt.text:
        raise UsageError(
            f"{job.donor_id} and {job.receiver.model_id} are asked otherwise "
            f"({job.donor.prompt.text!r}, {job.receiver.prompt.text!r}): states of one fit only "
            "where the other has the same prompt; name a variant of the same model"
        )


def _refuse_other_donor(job: PatchJob) -> None:
    """The patches of a model that the lake holds from one donor are of one configuration of it."""
    for run in find_runs(job.lake, COMMAND, job.receiver.model_id, job.dataset_id):
        if job.donor is None or run["config"].get("base") != job.donor_id:
            continue
        difference = config_difference(run["config"]["donor"], job.donor.identity)
        if difference:
            raise LayerhouseError(
                f"the lake holds patches from {job.donor_id} into {job.receiver.model_id} on "
                f"{job.dataset_id} under another configuration of it ({difference}); take them out "
                f"with `layerhouse runs remove {run['run_id']}`, or use another lake"
            )


def refuse_other_structure(job: PatchJob, mine: Sequence[Locus], donors: Sequence[Locus]) -> None:
    """Raise UsageError where the models do not have the same loci."""
    ours, theirs = (_structure(loci) for loci in (mine, donors))
    if ours != theirs:
        raise UsageError(
            f"{job.receiver.model_id} and {job.donor_id} are built differently "
            f"({_told(ours)}; {_told(theirs)}): states of one fit only into a model of the same "
            "loci; name a variant of the same model"
        )


def _structure(loci: Sequence[Locus]) -> list[tuple[str, int, str, int]]:
    return [(one.module, one.layer, one.kind, one.width) for one in loci]


def _told(structure: Sequence[tuple[str, int, str, int]]) -> str:
    widths: dict[str, list[int]] = {}
    for module, _, _, width in structure:
        widths.setdefault(module, []).append(width)
    return ", ".join(
        f"{module} {len(found)} loci of width {'/'.join(map(str, dict.fromkeys(found)))}"
        for module, found in widths.items()
    )
