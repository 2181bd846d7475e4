"""Coefficients of the stored linear probes on raw features: for steering, lenses and reuse."""

import torch

from analysis.devices import choose_device
from analysis.measures.measure import Measure, Tables, Work, add_measure
from analysis.probes import (
    TRUE_LABELS,
    LabelledVectors,
    LinearFits,
    LinearProbe,
    Subject,
    fit_linear,
    seen_classes,
    weights_for,
)
from warehouse.lake import Lake
from warehouse.progress import Progress
from warehouse.vocabulary import SPLITS


def add_coefficients(
    lake: Lake,
    model_id: str,
    dataset_id: str,
    *,
    progress: Progress | None = None,
) -> int:
    """Store the chosen linear probe of every cell as weights of raw features; returns how many.

    The probes on true labels are solved again (they are deterministic), so this adds to what
    `probe` stored without touching it. `probe_coefficient` then holds one row per class that train
    shows: logit = coefficients · vector + intercept.
    """
    probe = LinearProbe(device=choose_device())

    def compute(work: Work) -> Tables:
        subject = Subject.of(probe, model_id, dataset_id, work.samples)
        fits, seen = _fit(work, probe)
        return {
            "probe_coefficient": [
                {
                    "probe_id": subject.probe_id(cell, TRUE_LABELS),
                    "class_index": int(label),
                    "coefficients": fits.weight[row, 0, column].tolist(),
                    "intercept": float(fits.intercept[row, 0, column]),
                }
                for row, cell in enumerate(work.cells)
                for column, label in enumerate(seen)
            ]
        }

    several = "each of its probes is one fit for every fold, none of whose weights are the probe's"
    measure = Measure(
        "probe-coefficients",
        "coefficients",
        {},
        compute,
        wants_split=several,
        fits_for_score=True,
    )
    return add_measure(lake, model_id, dataset_id, measure, progress)


def _fit(work: Work, probe: LinearProbe) -> tuple[LinearFits, torch.Tensor]:
    """The fits of all cells, and the classes [n] that train shows."""
    labels = torch.from_numpy(work.samples.class_index).to(probe.device)
    features = work.vectors.to(probe.device, probe.dtype)
    rows = {split: work.samples.rows(split) for split in SPLITS}
    train, val = (
        LabelledVectors(features[:, rows[split]], shown, weights_for(work.samples.score, shown))
        for split in ("train", "val")
        for shown in [labels[None, rows[split]]]
    )
    seen = seen_classes(train.labels)
    return fit_linear(train, val, features[:, rows["test"]], work.samples.n_classes), seen
