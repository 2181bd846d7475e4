"""Measures of a dataset that is evaluated by folds: what is scored was predicted out of fold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.measures import (
    add_attribute,
    add_border,
    add_code_lengths,
    add_coefficients,
    add_control_task,
    add_folds,
    add_geometry,
)
from analysis.measures.attributes import Attribute
from analysis.measures.border import fidelity
from analysis.measures.code_length import sent_and_val
from analysis.measures.targets import recurring_types
from analysis.probes import Samples, probe
from tests.analysis.activation_lake import DATASET, MODEL, add_activations, dataset_lake, drawn
from tests.analysis.probes.test_probe_command import rows
from tests.analysis.test_folds import K, deal_to_folds
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter

N, N_SITES = 120, 6
RNG = np.random.default_rng(0)
CLASSES = RNG.permutation(np.arange(N) % 2)
SITES = RNG.integers(N_SITES, size=N)
SEEN, CLASS = ("vision", 0, "mean"), ("connector", 0, "mean")
"""Where the site can be read to the last sample, and where only the class can, not always."""
VECTORS = {
    SEEN: np.hstack([np.eye(N_SITES)[SITES] * 6, RNG.standard_normal((N, 4))]),
    CLASS: drawn(CLASSES, 10, 1, 0.5),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = dataset_lake(tmp_path_factory.mktemp("folded") / "lake", CLASSES, ["test"] * N)
    columns = {"site": [f"s{one}" for one in SITES], "finding": [f"c{one}" for one in CLASSES]}
    own = [
        {"dataset_id": DATASET, "sample_id": f"image-{i:05d}", "name": name, "value": value}
        for name, values in columns.items()
        for i, value in enumerate(values)
    ]
    with RunWriter(lake, RunSpec("datasets", None, DATASET, {"attributes": True})) as writer:
        writer.commit({"sample_attribute": own})
        writer.finish()
    deal_to_folds(lake)
    add_activations(lake, {place: own.astype(np.float32) for place, own in VECTORS.items()})
    probe(lake, MODEL, DATASET, controls=[], seeds=1)
    add_attribute(lake, MODEL, DATASET, attribute="finding")
    add_control_task(lake, MODEL, DATASET, attribute="site", seeds=1)
    add_code_lengths(lake, MODEL, DATASET, seeds=2)
    add_geometry(lake, MODEL, DATASET)
    assert add_border(lake, MODEL, DATASET) == 2
    assert add_border(lake, MODEL, DATASET) == 0
    return lake


def test_an_attribute_that_is_the_class_is_read_as_the_class_is(measured: Lake) -> None:
    """By the first repetition, out of fold, of every sample."""
    of_class = (
        "SELECT module, round(n * accuracy) FROM probe_score WHERE seed = 0 AND split = 'test'"
    )
    of_attribute = "SELECT module, n_right FROM target_probe WHERE target = 'attribute:finding'"
    found = dict(rows(measured, of_attribute))
    assert found == dict(rows(measured, of_class))
    assert 0.6 * N < found["connector"] < N
    sizes = "SELECT DISTINCT n_train, n_val, n_test FROM target_probe"
    assert rows(measured, sizes) == [(N // K, N, N)]
    within = rows(measured, "SELECT DISTINCT chance FROM stratum_signal")
    assert within == [(1.0,)]  # naming the class of each value is right everywhere


def test_a_random_class_per_site_is_learnt_by_heart_where_the_site_is_read(measured: Lake) -> None:
    found = dict(rows(measured, "SELECT module, control_task_accuracy FROM signal_flow"))
    assert found["vision"] == 1
    assert found["connector"] < 0.75


def test_labels_are_sent_but_those_that_penalties_are_chosen_on(measured: Lake) -> None:
    query = "SELECT seed, n_train FROM code_length WHERE module = 'connector' ORDER BY seed"
    assert rows(measured, query) == [(seed, N - N // K) for seed in range(2)]
    compression = dict(rows(measured, "SELECT module, compression FROM locus_code_length"))
    assert compression["vision"] < 1.05 < 1.1 < compression["connector"]
    folds = np.array([np.arange(N) % K, np.arange(N) // K % K])
    samples = Samples(np.arange(N).astype(object), CLASSES, np.array(["test"] * N), 2, N, folds)
    sent = [sent_and_val(samples, seed) for seed in range(2 * K + 1)]
    assert all(sorted([*one, *val]) == list(range(N)) for one, val in sent)
    times = np.bincount(np.concatenate([one for one, _ in sent[:K]]))
    assert set(times) == {K - 1}
    assert list(sent[K][1]) == list(np.flatnonzero(folds[1] == 0))
    assert list(sent[2 * K][1]) == list(sent[0][1])


def test_geometry_and_the_border_are_of_all_samples(measured: Lake) -> None:
    assert rows(measured, "SELECT DISTINCT n_samples FROM locus_geometry") == [(N,)]
    query = "SELECT n_samples, n_train, n_test, reconstruction < 0.1 FROM border_fidelity"
    assert rows(measured, query) == [(N, N // K, N, True)]


def test_states_are_brought_back_by_what_never_saw_them() -> None:
    """Half of the directions pass: R² is 10 / 20. Of unrelated states nothing is brought back, of
    which a fit of the samples it is scored on would bring back some."""
    rng, n = np.random.default_rng(1), 600
    states = torch.from_numpy(rng.standard_normal((n, 20))).float()
    folds = rng.permutation(np.arange(n) % 5)[None]
    names = np.array([f"s{i}" for i in range(n)], dtype=object)
    zeros = np.zeros(n, dtype=np.int64)
    samples = Samples(names, zeros, np.array(["test"] * n, dtype=object), 2, n, folds)
    half = fidelity(states, states[:, :10], samples, names)
    assert 0.45 < half["reconstruction_lower"] < half["reconstruction_upper"] < 0.51
    assert (half["n_train"], half["n_test"]) == (360, n)
    other = torch.from_numpy(rng.standard_normal((n, 60))).float()
    assert fidelity(states, other, samples, names)["reconstruction"] < 0.001


def test_types_recur_where_their_samples_are_scored() -> None:
    """Of five folds the third and fourth train for the first, and so on: `a` is in every fold, `b`
    in two neighbours, so that only one of them is trained on the other, which trains nobody once
    that one is left out."""
    folds = np.repeat(np.arange(5), 4)
    kinds = ["a", "a", "a", "b"] * 2 + ["a", "c", "c", "c"] * 3
    names = np.array([f"s{i:02d}" for i in range(20)], dtype=object)
    split = np.array(["test"] * 20, dtype=object)
    samples = Samples(names, np.arange(20) % 2, split, 2, 20, folds[None])
    found = recurring_types(samples, Attribute("kind", dict(zip(names, kinds, strict=True))), "d")
    assert set(found.values()) == {"a", "c"}
    assert [kinds[int(name[1:])] for name in found] == [one for one in kinds if one != "b"]


def test_what_has_no_meaning_by_folds_is_refused(measured: Lake) -> None:
    with pytest.raises(LayerhouseError, match="one fit for every fold"):
        add_coefficients(measured, MODEL, DATASET)
    with pytest.raises(LayerhouseError, match="out of fold as they are"):
        add_folds(measured, MODEL, DATASET, n_folds=4)
