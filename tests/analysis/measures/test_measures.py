"""Measures on a real lake: what they store, that they store it once, and that it is right."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings, strategies as st

from analysis.measures import add_code_lengths, add_coefficients, add_folds, add_geometry
from analysis.measures.code_length import portion_ends, portion_order
from analysis.probes import probe
from layerhouse.cli.probe import command
from tests.analysis.activation_lake import DATASET, MODEL, PLACES
from tests.analysis.probes.test_probe_command import CLASSES, SPLITS, VECTORS, rows, unprobed
from warehouse.catalogue.folds import make_folds
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake on which everything was measured by the command, twice."""
    lake = unprobed(tmp_path_factory.mktemp("measured") / "lake")
    asked = ["--model", MODEL, "--dataset", DATASET, "--lake", str(lake.root), "--seeds", "2"]
    more = ["--coefficients", "--code-length", "--geometry", "--border", "--folds", "4"]
    for _ in range(2):
        result = CliRunner().invoke(command, [*asked, *more], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert "The lake holds the geometry." in result.output
    assert "The lake holds the border fidelity." in result.output
    return lake


@pytest.mark.slow
def test_coefficients_give_the_stored_logits_from_raw_vectors(measured: Lake) -> None:
    found = rows(
        measured,
        "SELECT p.module, p.layer, p.readout, c.class_index, c.coefficients, c.intercept "
        "FROM probe_coefficient AS c JOIN probe AS p USING (probe_id) ORDER BY ALL",
    )
    assert len(found) == 4 * len(PLACES)
    stored = rows(
        measured,
        "SELECT p.module, p.layer, p.readout, l.sample_id, l.logits FROM probe_logit AS l "
        "JOIN probe AS p USING (probe_id) WHERE p.control = 'none'",
    )
    for module, layer, readout, sample_id, logits in stored:
        own = [row for row in found if row[:3] == (module, layer, readout)]
        vector = VECTORS[module, layer, readout][int(sample_id.removeprefix("image-"))]
        again = [np.dot(weights, vector) + intercept for *_, weights, intercept in own]
        np.testing.assert_allclose(again, logits, atol=2e-3)


def test_coefficients_can_be_used_in_plain_sql(measured: Lake) -> None:
    query = """
        SELECT count(*) FROM probe_logit AS l
        JOIN probe AS p USING (probe_id)
        JOIN probe_coefficient AS c USING (probe_id)
        JOIN activation AS a USING (model_id, dataset_id, module, layer, readout, sample_id)
        WHERE abs(list_dot_product(c.coefficients, a.vector) + c.intercept
                  - l.logits[c.class_index + 1]) > 2e-3
    """
    assert rows(measured, query) == [(0,)]


def test_every_locus_has_a_geometry_and_compares_with_the_one_before(measured: Lake) -> None:
    found = rows(
        measured,
        "SELECT module, layer, readout, n_samples, effective_rank, cka_to_previous "
        "FROM locus_geometry",
    )
    assert {row[:3] for row in found} == set(PLACES)
    n_train = int((SPLITS == "train").sum())
    for module, layer, readout, n, rank, similarity in found:
        assert n == n_train
        assert 1 <= rank <= min(n_train, PLACES[module, layer, readout])
        assert (similarity is not None) == ((module, layer - 1, readout) in PLACES)


def test_code_lengths_are_short_where_the_class_can_be_read(measured: Lake) -> None:
    found = rows(
        measured, "SELECT module, layer, readout, n_seeds, compression FROM locus_code_length"
    )
    assert {row[:3] for row in found} == set(PLACES)
    assert all(n == 2 for *_, n, _ in found)
    assert all(compression > 1.1 for *_, compression in found)
    (bits,) = rows(measured, "SELECT DISTINCT uniform_bits, n_train FROM code_length")
    assert bits == (pytest.approx(80 * math.log2(4)), 80)


def test_every_sample_is_scored_once_by_a_probe_that_saw_nothing_of_its_group(
    measured: Lake,
) -> None:
    found = rows(
        measured,
        "SELECT f.module, f.layer, f.readout, count(*), count(DISTINCT l.sample_id), "
        "count(DISTINCT l.fold) FROM fold_logit AS l JOIN fold_probe AS f USING (fold_probe_id) "
        "GROUP BY ALL",
    )
    assert {row[:3] for row in found} == set(PLACES)
    assert all(row[3:] == (len(CLASSES), len(CLASSES), 4) for row in found)
    cut = rows(
        measured,
        "SELECT group_id FROM fold_logit JOIN sample USING (sample_id) "
        "GROUP BY ALL HAVING count(DISTINCT fold) > 1",
    )
    assert cut == []
    scores = rows(measured, "SELECT n, n_folds, accuracy, chance FROM fold_accuracy")
    assert len(scores) == len(PLACES)
    assert all(n == len(CLASSES) and k == 4 and a > c for n, k, a, c in scores)


@pytest.mark.slow
def test_folds_leave_the_views_of_the_dataset_s_own_split_alone(tmp_path: Path) -> None:
    lake = unprobed(tmp_path / "lake")
    probe(lake, MODEL, DATASET, controls=["none"])
    query = "SELECT * FROM signal_flow ORDER BY ALL"
    before = rows(lake, query)
    assert add_folds(lake, MODEL, DATASET, n_folds=3) == len(PLACES)
    assert rows(lake, query) == before
    assert add_folds(lake, MODEL, DATASET, n_folds=3) == 0
    assert add_folds(lake, MODEL, DATASET, n_folds=5) == len(PLACES)
    assert len(rows(lake, "FROM fold_accuracy")) == 2 * len(PLACES)


def test_measures_name_what_they_cannot_do(tmp_path: Path) -> None:
    lake = unprobed(tmp_path / "lake")
    with pytest.raises(UsageError, match="folds must be at least 3"):
        add_folds(lake, MODEL, DATASET, n_folds=2)
    with pytest.raises(UsageError, match="no model 'made-op'"):
        add_geometry(lake, "made-op", DATASET)
    with pytest.raises(LayerhouseError, match="3 groups, too few for 4 folds"):
        make_folds([0, 1, 1], ["a", "b", "c"], 4, "shapes")
    with pytest.raises(LayerhouseError, match="too few for a code length"):
        portion_ends(8, 4)


def test_a_class_of_one_group_cannot_be_folded(tmp_path: Path) -> None:
    from tests.analysis.activation_lake import add_activations, dataset_lake, drawn

    classes = np.array([0, 1] * 20 + [2, 2])
    splits = np.array((["train", "val", "test", "train"] * 10) + ["train", "train"])
    lake = dataset_lake(tmp_path / "lake", classes, splits)
    add_activations(lake, {("llm", 0, "last"): drawn(classes, 12, 0)})
    with pytest.raises(LayerhouseError, match="class 2 of shapes is in too few groups"):
        add_folds(lake, MODEL, DATASET, n_folds=3)


@settings(max_examples=40, deadline=None)
@given(
    groups=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), min_size=6, max_size=40),
    n_folds=st.integers(3, 6),
)
def test_folds_keep_groups_whole_and_do_not_depend_on_the_order(groups, n_folds) -> None:
    labels = [label for label, size in groups for _ in range(size)]
    names = [f"g{i}" for i, (_, size) in enumerate(groups) for _ in range(size)]
    folds = make_folds(labels, names, n_folds, "d")
    assert all(n == 1 for n in Counter(g for g, _ in set(zip(names, folds, strict=True))).values())
    assert set(folds) == set(range(n_folds))
    backwards = make_folds(labels[::-1], names[::-1], n_folds, "d")
    assert np.array_equal(backwards[::-1], folds)


def test_balanced_classes_are_spread_evenly_over_the_folds() -> None:
    labels = np.arange(120) % 3
    folds = make_folds(labels, [f"g{i}" for i in range(120)], 5, "d")
    counts = Counter(zip(folds.tolist(), labels.tolist(), strict=True))
    assert set(counts.values()) == {8}


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 30), min_size=2, max_size=5).filter(
        lambda sizes: sum(sizes) > 2 * len(sizes)
    ),
    seed=st.integers(0, 9),
)
def test_portions_are_an_order_of_train_that_starts_with_every_class(sizes, seed) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    order = portion_order(labels, "d", seed)
    assert sorted(order) == list(range(len(labels)))
    ends = portion_ends(len(labels), len(sizes))
    assert ends == sorted(set(ends))
    assert ends[-1] == len(labels)
    assert set(labels[order[: ends[0]]]) == set(range(len(sizes)))
    assert not np.array_equal(order, portion_order(labels, "d", seed + 1))


def test_labels_without_any_relation_to_the_vectors_cost_about_the_uniform_code(
    tmp_path: Path,
) -> None:
    from tests.analysis.activation_lake import add_activations, dataset_lake

    rng = np.random.default_rng(0)
    classes = np.arange(240) % 2
    splits = np.array(["train", "train", "val", "test"])[np.arange(240) // 2 % 4]
    lake = dataset_lake(tmp_path / "lake", classes, splits)
    add_activations(lake, {("llm", 0, "last"): rng.standard_normal((240, 6)).astype(np.float32)})
    add_code_lengths(lake, MODEL, DATASET, seeds=3)
    ((compression,),) = rows(lake, "SELECT compression FROM locus_code_length")
    assert compression == pytest.approx(1, abs=0.1)


def test_connecting_shows_coefficients_to_a_python_user(measured: Lake) -> None:
    with connect(measured) as wh:
        frame = wh.sql("SELECT probe_id, class_index, coefficients FROM probe_coefficient").pl()
    assert len(frame) == 4 * len(PLACES)
    assert add_coefficients(measured, MODEL, DATASET) == 0
