"""Opening: the model of a steer job loaded and checked, and the directions of its classes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from extract.patching import Wanted, attached, deaf_behind, how_done, showing, side_of
from extract.running import BatchSize, OpenedModel, Prepared, batch_size_for, open_model
from extract.sharing import Job
from extract.steering.directions import Directions, learn
from extract.steering.job import SteerJob
from extract.steering.request import SteerPlaces, places_of
from extract.steering.rows import effect_table
from extract.steering.sources import source_of
from extract.steering.steerer import Steerer
from warehouse.catalogue import connect


@dataclass(frozen=True)
class OpenedSteering:
    """A steer job's model: `prepare` makes batches of samples; `notes` are worth showing."""

    job: SteerJob
    steerer: Steerer
    prepare: Callable[[Sequence[str]], tuple[Prepared, Prepared]]
    wanted: Wanted
    batch_size: BatchSize
    models: Sequence[tuple[Job, OpenedModel]]
    notes: tuple[str, ...]

    @property
    def passes(self) -> int:
        return self.steerer.passes

    @property
    def covers(self) -> Mapping[str, Any]:
        return {"learned": self.steerer.directions.learned}

    def passes_of(self, wanted: Wanted) -> int:
        """Once for a sample as it is, once for every direction."""
        return 1 + self.steerer.directions.n * sum(len(put) for _, put in wanted)

    def table(self, prepared: Prepared, _: Prepared, wanted: Wanted) -> pa.Table:
        return effect_table(self.job, self.steerer.effects(prepared, wanted))


@contextmanager
def opened(job: SteerJob) -> Iterator[OpenedSteering]:
    """The model, its hooks registered for the length of a block."""
    model = open_model(job.receiver)
    places = places_of(job.request, model.session)
    directions = _learned(job, places)
    job.refuse_other_directions(directions)
    wanted = [(one, put) for one, put in places.wanted if one.name not in directions.blind]
    side = side_of(job.receiver, model, [locus for locus, _ in wanted])
    prepare = showing(job.receiver, model, {})

    def twice(names: Sequence[str]) -> tuple[Prepared, Prepared]:
        prepared = prepare(names)
        return prepared, prepared

    notes = (*model.lines, *places.notes, *_left_out(job, directions), *deaf_behind(model))
    size = batch_size_for(job.receiver, batching=model.batching)
    with attached(side):
        yield OpenedSteering(
            *(job, Steerer(side, directions), twice, wanted, size),
            *([(job.receiver, model)], tuple(dict.fromkeys(notes))),
        )


def _learned(job: SteerJob, places: SteerPlaces) -> Directions:
    of = job.receiver.model_id, job.dataset_id
    tokens = [(locus, how_done(one)[0]) for locus, put in places.wanted for one in put]
    with connect(job.lake) as wh:
        source = source_of(job.request, of[0], job.receiver.info)
        return learn(wh, of, source, tokens, skip_blind=not places.were_named)


def _left_out(job: SteerJob, directions: Directions) -> Iterator[str]:
    if directions.blind:
        yield f"nothing of the image is seen yet at {', '.join(sorted(directions.blind))}"
    lacking = [name for index, name in job.labels.items() if index not in directions.classes]
    if lacking and not job.request.is_file:
        yield f"no direction of {', '.join(lacking)}: train shows too few"
