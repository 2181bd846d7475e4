"""Probes that are trained on other labels than the classes, and scored against those.

`add_attribute` asks how well an attribute can be read at every locus: a nuisance that the class may
be mistaken for. `add_control_task` is the control task of Hewitt and Liang 2019, "Designing and
interpreting probes with control tasks": every type (a patient, a scanner, a site) is given a class
at random, the same in train and test. What a probe reads of that, it owes to how much it can learn
by heart, and selectivity in their sense is its accuracy on the classes minus this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.audit import find_shortcuts
from analysis.measures.attributes import Attribute, read_attribute
from analysis.measures.measure import Measure, Tables, Work, add_measure, place
from analysis.probes import Fit, ProbeKind, Samples, find_kind, fit_vectors
from warehouse.catalogue import DatasetInfo, dataset, labelled, open_tables
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake
from warehouse.progress import Progress
from warehouse.vocabulary import ACCURACY, ATTRIBUTE_TARGET, CONTROL_TASK, DEFAULT_PROBE_KIND

SEEDS = 5
RECURRING = 0.5
"""The least share of test samples whose type train must show for a control task to mean anything:
of any other type its label cannot be known."""


def add_attribute(
    lake: Lake,
    model_id: str,
    dataset_id: str,
    *,
    attribute: str,
    kind: ProbeKind | None = None,
    progress: Progress | None = None,
) -> int:
    """Store how well an attribute can be read at every locus; returns at how many it did.

    Samples without a value are left out. Raises UsageError for an unknown attribute,
    LayerhouseError for one that tells single samples or none apart, or that a split lacks.
    """
    kind = kind or find_kind(DEFAULT_PROBE_KIND)
    with open_tables(lake) as wh:
        info = labelled(dataset(wh, dataset_id), "a probe")
        found = read_attribute(wh, info, attribute)
    labels = found.labels()
    about: Tables = _about(info, found, labels)

    def compute(work: Work) -> Tables:
        label_of = {name: label for name, (label, _) in labels.items()}
        # `n_right` is held against the largest label, whatever the score of the classes.
        rows = _rows(work, kind, ATTRIBUTE_TARGET + attribute, {0: label_of}, ACCURACY)
        told = dict(about)
        about.clear()  # once a run is enough
        return {"target_probe": rows, **told}

    settings = {"attribute": attribute, "kind": kind.name, "options": kind.settings()}
    measure = Measure("probe-target", "target_probe", settings, compute)
    return add_measure(lake, model_id, dataset_id, measure, progress)


def add_control_task(
    lake: Lake,
    model_id: str,
    dataset_id: str,
    *,
    attribute: str,
    kind: ProbeKind | None = None,
    seeds: int = SEEDS,
    progress: Progress | None = None,
) -> int:
    """Store how well random classes of an attribute's values are read; returns at how many loci.

    Raises UsageError for an unknown attribute, LayerhouseError for one whose values do not recur
    across train and test.
    """
    kind = kind or find_kind(DEFAULT_PROBE_KIND)
    with open_tables(lake) as wh:
        info = labelled(dataset(wh, dataset_id), "a probe")
        found = read_attribute(wh, info, attribute)

    drawn_once: dict[int, dict[str, int]] = {}

    def labellings(samples: Samples) -> dict[int, dict[str, int]]:
        types = recurring_types(samples, found, dataset_id)
        names, shares = sorted(set(types.values())), class_shares(info)
        drawn = {
            seed: random_classes(names, shares, f"{dataset_id}\0{seed}") for seed in range(seeds)
        }
        return {
            seed: {name: class_of[value] for name, value in types.items()}
            for seed, class_of in drawn.items()
        }

    def compute(work: Work) -> Tables:
        drawn_once.update({} if drawn_once else labellings(work.samples))
        # It is held against the probes of the classes, and so fitted for what they are.
        score = work.samples.score
        return {"target_probe": _rows(work, kind, CONTROL_TASK + attribute, drawn_once, score)}

    settings = {"attribute": attribute, "kind": kind.name, "options": kind.settings()}
    measure = Measure(
        "probe-control-task",
        "target_probe",
        settings | {"seeds": seeds},
        compute,
        fits_for_score=True,
    )
    return add_measure(lake, model_id, dataset_id, measure, progress)


def recurring_types(samples: Samples, attribute: Attribute, dataset_id: str) -> dict[str, str]:
    """The type of every sample, by sample_id, but for those whose type train does not show: under
    folds, what trains where they are scored.

    Raises LayerhouseError where types are as many as samples, where there is one type only, and
    where train shows those of less than half of what is scored.
    """
    refused = f"{attribute.name} cannot be a control task on {dataset_id}"
    types = {name: str(attribute.values[name]) for name in samples.ids if name in attribute.values}
    n_types = len(set(types.values()))
    if n_types == len(types):
        raise LayerhouseError(f"{refused}: each of its {n_types} values is of one sample")
    shown = _shown(samples, types)
    test = [name for name in samples.ids[samples.predicted("test")] if name in types]
    n_recurring = sum(name in shown for name in test)
    if not test or n_recurring < RECURRING * len(test):
        raise LayerhouseError(
            f"{refused}: train shows the values of {n_recurring} of {len(test)} test samples, and "
            "a random class of any other value cannot be known (splits and folds keep groups "
            "whole, so what names a group never recurs)"
        )
    if len(set(shown.values())) < 2:
        raise LayerhouseError(f"{refused}: train shows one value of it only")
    return shown


def _shown(samples: Samples, types: dict[str, str]) -> dict[str, str]:
    """Those of the samples whose type train shows. Under folds one that is left out trains nobody,
    so that others may follow."""
    found: dict[str, str] = {}
    for rotation in samples.rotations(0):
        seen = {types[name] for name in samples.ids[rotation.train] if name in types}
        asked = samples.ids if samples.folds is None else samples.ids[rotation.test]
        found |= {name: types[name] for name in asked if types.get(name) in seen}
    return found if len(found) == len(types) else _shown(samples, found)


def class_shares(info: DatasetInfo) -> NDArray[np.float64]:
    """How frequent each class is among all samples of a dataset: [n_classes]."""
    labels = info.samples["class_index"].to_numpy().astype(np.int64)
    return np.bincount(labels, minlength=len(info.classes)) / len(labels)


def random_classes(types: Sequence[str], shares: NDArray[np.float64], seed: str) -> dict[str, int]:
    """A class for every type, drawn by the classes' shares [n_classes]; at least two occur.

    Each type's draw depends on its name and the seed alone, so that all models face the same.
    """
    edges = np.cumsum(shares)[:-1]
    for attempt in count():
        drawn = {
            one: int(np.searchsorted(edges, _unit(f"control_task\0{seed}\0{attempt}\0{one}")))
            for one in types
        }
        if len(set(drawn.values())) > 1:
            return drawn
    raise AssertionError  # which a count never comes to


def _unit(text: str) -> float:
    """A number in [0, 1) that is decided by a text."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


def _about(
    info: DatasetInfo, attribute: Attribute, labels: Mapping[str, tuple[int, str]]
) -> Tables:
    """The attribute's labels, and how well they alone tell the class."""
    owner = {"dataset_id": info.dataset_id, "attribute": attribute.name}
    tables: Tables = {
        "attribute_label": [
            {**owner, "sample_id": name, "label_index": label, "value": value}
            for name, (label, value) in labels.items()
        ]
    }
    names = info.samples["sample_id"].to_list()
    found = find_shortcuts(
        {attribute.name: [attribute.values.get(name) for name in names]},
        info.samples["class_index"].to_numpy().astype(np.int64),
        info.samples["group_id"].to_list(),
        info.dataset_id,
    )
    rows: list[dict[str, Any]] = [{**owner, **vars(shortcut)} for shortcut in found]
    for row in rows:
        del row["fact"]
    return {**tables, "attribute_shortcut": rows} if rows else tables


def _rows(
    work: Work,
    kind: ProbeKind,
    target: str,
    labellings: Mapping[int, Mapping[str, int]],
    score: str,
) -> list[dict[str, Any]]:
    """Rows of target_probe, one per cell and seed, of probes fitted for a score; a labelling gives
    labels by sample_id."""
    rows = []
    for seed, label_of in labellings.items():
        kept = np.array([name in label_of for name in work.samples.ids])
        samples = replace(_relabelled(work, kept, label_of, target), score=score)
        vectors = {
            cell: own[kept].numpy() for cell, own in zip(work.cells, work.vectors, strict=True)
        }
        rows += [
            place(work, fit.cell)
            | {"kind": kind.name, "target": target, "seed": seed}
            | _scores(samples, fit)
            for fit in fit_vectors(kind, samples, work.dataset_id, vectors)
        ]
    return rows


def _relabelled(
    work: Work, kept: NDArray[np.bool_], label_of: Mapping[str, int], target: str
) -> Samples:
    """The samples that have a label, with it; LayerhouseError where they cannot be probed."""
    ids = work.samples.ids[kept]
    labels = np.array([label_of[name] for name in ids], dtype=np.int64)
    folds = work.samples.folds
    samples = replace(
        work.samples,
        ids=ids,
        class_index=labels,
        split=work.samples.split[kept],
        n_classes=max(label_of.values()) + 1,
        folds=None if folds is None else folds[:, kept],
    )
    name = target.partition(":")[2]
    for number, rotation in enumerate(samples.rotations(0)):
        for split, rows in rotation._asdict().items():
            if not len(ids[rows]):
                what = f"split {split}" if folds is None else f"{split} part of fold {number}"
                raise LayerhouseError(
                    f"no sample of the {what} has a value of {name} that can be probed"
                )
        if len(np.unique(labels[rotation.train])) < 2:
            raise LayerhouseError(
                f"the train samples of {work.model_id} show one value of {name} only; a probe "
                "needs two"
            )
    return samples


def _scores(samples: Samples, fit: Fit) -> dict[str, Any]:
    truth = samples.class_index[samples.predicted("test")]
    right = fit.test_logits.argmax(axis=1) == truth
    return {
        "n_labels": len(np.unique(samples.class_index)),
        **samples.sizes(fit.target.seed),
        "n_right": int(right.sum()),
        "n_largest": int(np.bincount(truth).max()),
        "balanced_accuracy": float(np.mean([right[truth == one].mean() for one in set(truth)])),
    }
