"""The parts of a job whose model is one for each fold."""

from dataclasses import replace

from extract.models import ModelSource
from extract.sharing.job import Job


def fold_parts(job: Job) -> list[Job]:
    """What each fold's model does, of the folds that have samples; those of others are left."""
    assert isinstance(job.source, ModelSource)
    assert job.info.folds is not None
    names, parts = job.info.samples["sample_id"], []
    for fold in range(len(job.source.fold_repairs)):
        others = set(names.filter(job.info.folds[:, 0] != fold))
        seen = replace(job.seen, sample_ids=job.seen.sample_ids | others)
        part = replace(job, source=job.source.of_fold(fold), seen=seen)
        if part.sample_ids:
            parts.append(part)
    return parts
