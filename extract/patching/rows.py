"""Rows: what patching writes into the table `patch_effect`."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import torch

from extract.patching.job import PatchJob
from extract.patching.patcher import Effect


def effect_table(job: PatchJob, effects: Iterable[Effect], ends: frozenset[str]) -> pa.Table:
    """One row per sample and place; `ends` are the loci, by name, where stages end."""
    return pa.concat_tables([_table(job, effect, ends) for effect in effects])


def _table(job: PatchJob, effect: Effect, ends: frozenset[str]) -> pa.Table:
    given = effect.donation.donors
    kept = [i for i, name in enumerate(effect.names) if name in given]
    names = [effect.names[i] for i in kept]
    labels = torch.tensor([job.classes[name] for name in names], dtype=torch.long)
    targets = torch.tensor([_target(job, name) for name in names], dtype=torch.long)
    patched, own, donors = (each[kept] for each in (effect.patched, effect.own, effect.donors))
    shift = (patched - own).double()

    def shift_of(classes: torch.Tensor) -> list[float]:
        found: list[float] = shift.gather(1, classes[:, None])[:, 0].tolist()
        return found

    columns: dict[str, Any] = {
        "model_id": [job.receiver.model_id] * len(names),
        "dataset_id": [job.dataset_id] * len(names),
        "sample_id": names,
        "module": [effect.locus.module] * len(names),
        "layer": pa.array([effect.locus.layer] * len(names), pa.int32()),
        "tokens": [effect.tokens] * len(names),
        "control": [effect.control] * len(names),
        "donor_model_id": [job.donor_id] * len(names),
        "donor_id": [given[name] for name in names],
        "ends_stage": [effect.locus.name in ends] * len(names),
        "target_class_index": pa.array(targets.tolist(), pa.int32()),
        "predicted_class_index": pa.array(patched.argmax(dim=1).tolist(), pa.int32()),
        "own_class_index": pa.array(own.argmax(dim=1).tolist(), pa.int32()),
        "donor_class_index": pa.array(donors.argmax(dim=1).tolist(), pa.int32()),
        "target_shift": shift_of(targets),
        "label_shift": shift_of(labels),
    }
    return pa.table(columns)


def _target(job: PatchJob, name: str) -> int:
    """The class that a patch is to turn an answer to: that of the donor of another class, with a
    better model's states the sample's own.
    """
    if job.image_donors is None:
        return job.classes[name]
    return job.classes[job.image_donors.other[name]]
