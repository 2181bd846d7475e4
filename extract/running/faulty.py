"""Faulty: a model's faults made ready for a dataset, and what runs batches under them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from extract.faults import (
    Fault,
    FaultyInputs,
    Injector,
    Labelled,
    LearningFault,
    faulty_images,
    faulty_inputs,
    site_of,
)
from extract.models import Session
from extract.running.batches import Runner
from extract.running.clock import Stopwatch
from extract.running.opening import OpenedModel
from extract.running.preparing import Preparer
from extract.sharing import Job, Way
from warehouse.images import MAX_PIXELS
from warehouse.lake import sample_order


def inputs_under(faults: Sequence[Fault], samples: pl.DataFrame) -> FaultyInputs:
    """What faults change of the inputs of a dataset's samples."""
    return faulty_inputs(faults, samples.select("sample_id", "split", "class_index").iter_rows())


def learn_faults(
    faults: Sequence[Fault],
    session: Session,
    samples: pl.DataFrame,
    uris: Mapping[str, str],
    batch_size: int,
    max_pixels: int = MAX_PIXELS,
) -> dict[str, Sequence[Any]]:
    """For every learning fault, what it learns from the train split, per part of its site."""
    classes = dict(samples.select("sample_id", "class_index").iter_rows())
    train = set(samples.filter(samples["split"] == "train")["sample_id"])
    order = [name for name in sample_order(samples["sample_id"]) if name in train]
    prepare = Preparer(session, uris, faulty_images(faults), max_pixels)

    def batches(names: Sequence[str]) -> Iterator[Labelled]:
        for start in range(0, len(names), batch_size):
            prepared = prepare(names[start : start + batch_size])
            if prepared.sample_ids:
                yield prepared.inputs, [classes[name] for name in prepared.sample_ids]

    return {
        str(fault): kind.learn(
            fault, session, site_of(session, fault), batches(kind.learns_from(fault, order))
        )
        for fault in faults
        if isinstance(kind := fault.kind, LearningFault)
    }


def learned_by(job: Job, session: Session, batch_size: int) -> dict[str, Sequence[Any]]:
    """What a job's faults learn of its dataset."""
    taught, most = job.seen.as_train(job.info.samples), job.request.max_pixels
    return learn_faults(job.faults, session, taught, job.info.uris, batch_size, most)


def preparer_of(
    job: Job,
    session: Session,
    prompts: Mapping[Way, str],
    image_donors: Mapping[str, Mapping[str, str]],
) -> Preparer:
    """What prepares a job's samples under its faults, for these ways of asking besides its own."""
    samples = job.info.samples
    unseen = samples.filter(~samples["sample_id"].is_in(job.seen.sample_ids))
    faulty, most = inputs_under(job.faults, unseen), job.request.max_pixels
    return Preparer(session, job.info.uris, faulty, most, prompts, image_donors)


def runner_of(
    opened: OpenedModel,
    faults: Sequence[Fault],
    learned: Mapping[str, Sequence[Any]],
    watch: Stopwatch,
) -> Runner:
    """A runner for a job's questions whose model has these faults."""
    injector = Injector(opened.session, faults, opened.phrases, learned) if faults else None
    return Runner(opened.session, injector, opened.questions, watch, opened.sees_once)
