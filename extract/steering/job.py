"""A steer job: a request with everything looked up that does not need the model itself."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from extract.patching import Intervention, selection_of
from extract.sharing import Job, look_up, refuse_other_identity
from extract.steering.directions import Directions
from extract.steering.request import SteerRequest
from extract.steering.sources import source_of
from warehouse.catalogue import labelled
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake, RunSpec
from warehouse.vocabulary import LIKELIHOOD

COMMAND = "steer"


@dataclass(frozen=True)
class SteerJob(Intervention):
    """Whose states are moved, on which samples; `direction` is what the lake calls the source."""

    command: ClassVar[str] = COMMAND
    table: ClassVar[str] = "steer_effect"

    request: SteerRequest
    direction: str

    @property
    def mark(self) -> Mapping[str, str]:
        return {"direction": self.direction}

    @property
    def most_samples(self) -> int | None:
        return self.request.limit

    @cached_property
    def labels(self) -> dict[int, str]:
        return {row.index: row.label for row in self.receiver.info.classes}

    @property
    def spec(self) -> RunSpec:
        asked = self.request
        chosen = selection_of(asked.receiver, asked.limit)
        chosen |= {"tokens": list(asked.tokens), "strengths": list(map(float, asked.steps))}
        chosen |= {"direction": asked.direction, "label": asked.label}
        config: dict[str, Any] = {"identity": self.receiver.identity, "selection": chosen}
        config |= {"direction": self.direction}
        receiver = self.receiver
        return RunSpec(COMMAND, receiver.model_id, self.dataset_id, config, receiver.device)

    def refuse_other_directions(self, directions: Directions) -> None:
        """Raise LayerhouseError where the lake holds effects of directions that were learned of
        other samples at the same place."""
        for commit in self.commits():
            before = commit.covers.get("learned", {})
            other = [k for k, v in directions.learned.items() if before.get(k, v) != v]
            if other:
                raise LayerhouseError(
                    f"the lake holds effects of {self.direction} at {other[0]} whose directions "
                    "were learned of other samples than are extracted now; take them out with "
                    f"`layerhouse runs remove {commit.run_id}`"
                )


def look_up_steer(lake: Lake, request: SteerRequest) -> SteerJob:
    """Raises UsageError for what cannot be meant, LayerhouseError where the lake holds the model
    under another configuration.
    """
    request.refuse_unmeant()
    receiver: Job = look_up(lake, replace(request.receiver, answers=(LIKELIHOOD,)))
    labelled(receiver.info, "steering")
    if len(receiver.info.classes) < 2:
        raise LayerhouseError(
            f"{receiver.dataset_id} has one class: there is no other that its answer could be told "
            "from"
        )
    source = source_of(request, receiver.model_id, receiver.info)
    job = SteerJob(lake, receiver, request, source.name)
    if not job.sample_ids:
        raise LayerhouseError(f"{job.dataset_id} has no sample that the model could be scored on")
    refuse_other_identity(receiver)
    return job
