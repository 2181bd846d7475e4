"""K-fold scores by group, for datasets whose test split is too small to say much.

Every group is tested once, by a probe that saw none of its samples: fold f is scored by a probe
that was trained without it and chose its penalty on fold f + 1. The split of the dataset plays no
part, so these scores stand beside it in tables of their own; stage signals, losses and verdicts
never read them, because answers and baselines are compared on the dataset's test split.
"""

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from analysis.devices import choose_device
from analysis.logits import logit_columns
from analysis.measures.measure import Measure, Tables, Work, add_measure, place
from analysis.probes import LabelledVectors, LinearProbe, fit_linear, weights_for
from warehouse.catalogue import make_folds
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake
from warehouse.progress import Progress


def add_folds(
    lake: Lake,
    model_id: str,
    dataset_id: str,
    *,
    n_folds: int,
    progress: Progress | None = None,
) -> int:
    """Store out-of-fold logits of a linear probe for every sample of every cell.

    Folds depend on the dataset and their number only, so that all models share them. Raises
    UsageError for fewer than 3 folds (train, choose, score), LayerhouseError where there are fewer
    groups than folds or a class would be missing from a fold's train part.
    """
    if n_folds < 3:
        raise UsageError(f"folds must be at least 3 (train, choose, score), not {n_folds}")
    probe = LinearProbe(device=choose_device())

    def compute(work: Work) -> Tables:
        fold_of = make_folds(work.samples.class_index, work.groups, n_folds, dataset_id)
        logits, penalties = out_of_fold(work, fold_of, n_folds, probe)
        ids = [_fold_probe_id(work, index, n_folds) for index in range(len(work.cells))]
        probes = [
            {"fold_probe_id": name, **place(work, cell), "kind": probe.name, "n_folds": n_folds}
            | {"hyperparameters": {"C": [float(f"{c:.6g}") for c in row]}}
            for name, cell, row in zip(ids, work.cells, penalties, strict=True)
        ]
        tables = [
            _rows(name, work.samples.ids, fold_of, own)
            for name, own in zip(ids, logits, strict=True)
        ]
        return {"fold_probe": probes, "fold_logit": pa.concat_tables(tables)}

    settled = "its probes are out of fold as they are, so that nothing is left for other folds"
    settings = {"n_folds": n_folds}
    measure = Measure(
        "probe-folds", "fold_probe", settings, compute, wants_split=settled, fits_for_score=True
    )
    return add_measure(lake, model_id, dataset_id, measure, progress)


def out_of_fold(
    work: Work, fold_of: NDArray[np.int64], n_folds: int, probe: LinearProbe
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Logits [cells, samples, classes] out of fold, and penalties [cells, folds].

    Raises LayerhouseError naming the class that a train part lacks.
    """
    labels = torch.from_numpy(work.samples.class_index)
    every = set(labels.unique().tolist())
    logits = np.empty((len(work.cells), len(labels), work.samples.n_classes), dtype=np.float32)
    penalties = np.empty((len(work.cells), n_folds))
    for fold in range(n_folds):
        test = torch.from_numpy(fold_of == fold)
        val = torch.from_numpy(fold_of == (fold + 1) % n_folds)
        train = ~(test | val)
        lacking = sorted(every - set(labels[train].unique().tolist()))
        if lacking:
            raise LayerhouseError(
                f"class {lacking[0]} of {work.dataset_id} is in too few groups for {n_folds} "
                f"folds: fold {fold} would be trained without it; use fewer folds or more groups"
            )
        train_part, val_part = (
            LabelledVectors(
                work.vectors[:, rows].to(probe.device, probe.dtype),
                shown,
                weights_for(work.samples.score, shown),
            )
            for rows in (train, val)
            for shown in [labels[None, rows].to(probe.device)]
        )
        scored = work.vectors[:, test].to(probe.device, probe.dtype)
        fits = fit_linear(train_part, val_part, scored, work.samples.n_classes)
        logits[:, test.numpy()] = fits.test_logits[:, 0]
        penalties[:, fold] = fits.penalty[:, 0]
    return logits, penalties


def _fold_probe_id(work: Work, index: int, n_folds: int) -> str:
    key = [work.model_id, work.dataset_id, *work.cells[index], n_folds]
    text = "\0".join(map(str, [*key, work.samples.fingerprint]))
    return blake2b(text.encode(), digest_size=12).hexdigest()


def _rows(
    name: str,
    sample_ids: NDArray[np.object_],
    fold_of: NDArray[np.int64],
    logits: NDArray[np.float32],
) -> pa.Table:
    n = len(logits)
    return pa.table(
        {
            "fold_probe_id": pa.repeat(name, n),
            "sample_id": pa.array(sample_ids, pa.string()),
            "fold": pa.array(fold_of.astype(np.int32)),
            **logit_columns(logits),
        }
    )
