"""Coefficients of the stored linear probes on raw features: for steering, lenses and reuse."""

import torch

from analysis.measures.measure import Measure, Tables, Work, add_measure
from analysis.probes.fitting import default_options, settings_of
from analysis.probes.linear import LinearFits, LinearOptions, Part, fit_linear, seen_classes
from analysis.probes.storage import Subject, Target
from warehouse.lake.lake import Lake
from warehouse.progress import Progress


def add_coefficients(
    lake: Lake,
    model_id: str,
    dataset_id: str,
    *,
    options: LinearOptions | None = None,
    progress: Progress | None = None,
) -> int:
    """Store the chosen linear probe of every locus as weights of raw features; returns how many.

    The probes on true labels are solved again (they are deterministic), so this adds to what
    `probe` stored without touching it. `probe_coefficient` then holds one row per class that train
    shows: logit = coefficients · vector + intercept.
    """
    chosen = options or default_options("linear")
    assert isinstance(chosen, LinearOptions)

    def compute(work: Work) -> Tables:
        settings = settings_of(chosen, work.samples)
        subject = Subject(model_id, dataset_id, "linear", settings)
        fits, seen = _fit(work, chosen)
        return {
            "probe_coefficient": [
                {
                    "probe_id": subject.probe_id(locus, Target("none", 0)),
                    "class_index": int(label),
                    "coefficients": fits.weight[row, 0, column].tolist(),
                    "intercept": float(fits.intercept[row, 0, column]),
                }
                for row, locus in enumerate(work.loci)
                for column, label in enumerate(seen)
            ]
        }

    measure = Measure("probe-coefficients", "coefficients", {}, compute)
    return add_measure(lake, model_id, dataset_id, measure, progress)


def _fit(work: Work, options: LinearOptions) -> tuple[LinearFits, torch.Tensor]:
    labels = torch.from_numpy(work.samples.class_index).to(options.device)
    features = work.vectors.to(options.device, options.dtype)
    rows = {split: work.samples.rows(split) for split in ("train", "val", "test")}
    train, val = (Part(features[:, rows[s]], labels[None, rows[s]]) for s in ("train", "val"))
    seen = seen_classes(train.labels)
    fits = fit_linear(train, val, features[:, rows["test"]], work.samples.n_classes, None, options)
    return fits, seen
