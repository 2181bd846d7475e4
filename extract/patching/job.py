"""A patch job: a request with everything looked up that does not need the models themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from extract.anatomy import Locus
from extract.patching.donations import ImageDonors
from extract.patching.intervention import Intervention, selection_of
from extract.patching.request import PatchRequest
from extract.sharing import Job, look_up, refuse_other_identity
from warehouse.catalogue import labelled
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake, RunSpec, config_difference, find_runs
from warehouse.vocabulary import LIKELIHOOD

COMMAND = "patch"


@dataclass(frozen=True)
class PatchJob(Intervention):
    """Whose states are put into whom, on which samples; `donor` is None where it is the receiver
    itself with other images.
    """

    command: ClassVar[str] = COMMAND
    table: ClassVar[str] = "patch_effect"

    request: PatchRequest
    donor: Job | None

    @property
    def donor_id(self) -> str:
        """The model whose states are put."""
        return (self.donor or self.receiver).model_id

    @property
    def mark(self) -> Mapping[str, str]:
        return {"donor": self.donor_id}

    @property
    def most_samples(self) -> int | None:
        return self.request.most_samples

    @property
    def notes(self) -> tuple[str, ...]:
        return (*super().notes, *(() if self.donor is None else self.donor.notes))

    @property
    def seen(self) -> frozenset[str]:
        return self.receiver.seen.sample_ids | (self.donor or self.receiver).seen.sample_ids

    @cached_property
    def image_donors(self) -> ImageDonors | None:
        return None if self.donor is not None else ImageDonors.among(self.rows)

    @property
    def spec(self) -> RunSpec:
        chosen = selection_of(self.request.receiver, self.most_samples)
        chosen |= {"tokens": list(self.request.tokens), "controls": self.request.controls}
        config: dict[str, Any] = {"identity": self.receiver.identity, "selection": chosen}
        if self.donor is not None:
            config |= {"base": self.donor_id, "donor": self.donor.identity}
        receiver = self.receiver
        return RunSpec(COMMAND, receiver.model_id, self.dataset_id, config, receiver.device)


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
    job = PatchJob(lake, receiver, request, donor)
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
