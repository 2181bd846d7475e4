"""Rows: what steering writes into the table `steer_effect`."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from extract.steering.job import SteerJob
from extract.steering.steerer import Moved


def effect_table(job: SteerJob, effects: Iterable[Moved]) -> pa.Table:
    """One row per sample, place, strength and class that was written."""
    return pa.concat_tables([_table(job, effect) for effect in effects])


def _table(job: SteerJob, effect: Moved) -> pa.Table:
    n, k = effect.shift.shape
    rows = n * k
    random = effect.random_shifts.numpy()
    n_random = random.shape[2]
    offsets = pa.array(np.arange(0, rows * n_random + 1, n_random), pa.int32())
    columns = {
        "model_id": [job.receiver.model_id] * rows,
        "dataset_id": [job.dataset_id] * rows,
        "sample_id": [name for name in effect.names for _ in range(k)],
        "module": [effect.locus.module] * rows,
        "layer": pa.array([effect.locus.layer] * rows, pa.int32()),
        "tokens": [effect.tokens] * rows,
        "direction": [job.direction] * rows,
        "strength": [effect.strength] * rows,
        "class_index": pa.array(list(effect.classes) * n, pa.int32()),
        "predicted_class_index": pa.array(effect.said.flatten().tolist(), pa.int32()),
        "own_class_index": pa.array(effect.own.repeat_interleave(k).tolist(), pa.int32()),
        "shift": effect.shift.flatten().double().tolist(),
        "sham_shift": effect.sham_shift.flatten().double().tolist(),
        "random_shifts": pa.ListArray.from_arrays(offsets, pa.array(random.reshape(-1))),
    }
    return pa.table(columns)
