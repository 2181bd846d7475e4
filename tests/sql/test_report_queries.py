"""Queries of the report that choose: of several kinds of probes a figure shows one."""

from pathlib import Path

import pytest

from analysis import report
from analysis.queries import read_query
from tests.sql.worlds import interval, world

QUERIES = Path(report.__file__).parent / "queries"
RIGHT = {"linear": 10, "mlp": 18, "centroid": 14, "nearest": 16}

of_several_kinds = pytest.mark.parametrize(
    ("kinds", "preferred"),
    [
        (("linear", "mlp", "centroid"), "linear"),
        (("mlp", "centroid"), "mlp"),
        (("nearest", "centroid"), "centroid"),
    ],
)


def probes(kinds):
    """Linear probes of the last place alone; the others stand at both."""
    loci = {kind: (1,) if kind == "linear" else (0, 1) for kind in kinds}
    return {
        ("llm", layer, "last", 0, kind): (5, RIGHT[kind]) for kind in kinds for layer in loci[kind]
    }


def shown(con, name):
    relation = con.sql(read_query(QUERIES, name), params={"model": "m", "dataset": "d"})
    return relation.pl().to_dicts()


@of_several_kinds
def test_a_signal_curve_is_of_the_preferred_kind_alone(catalogue, kinds, preferred):
    """Ours in their order, then those of packages by name."""
    rows = shown(catalogue(world(probes(kinds))), "signal_curve")
    places = [(4 + layer, preferred, RIGHT[preferred] / 20) for layer in (0, 1)]
    got = [(row["depth"], row["probe_kind"], row["test_accuracy"]) for row in rows]
    assert got == (places[1:] if preferred == "linear" else places)


@of_several_kinds
def test_beside_the_lens_stands_the_preferred_kind_alone(catalogue, kinds, preferred):
    rows = world(probes(kinds))
    named = {"model_id": "m", "dataset_id": "d", "predicted_class_index": 0}
    rows["logit_lens"] = [
        {**named, "layer": layer, "sample_id": sample["sample_id"], "label_logprobs": [-0.1, -2.0]}
        for layer in (0, 1)
        for sample in rows["sample"]
    ]
    right = RIGHT[preferred] / 20
    assert [row["probe_accuracy"] for row in shown(catalogue(rows), "lens")] == [
        None if preferred == "linear" else right,
        right,
    ]


@pytest.mark.parametrize(
    ("stored", "bounds"),
    [
        pytest.param({"signal": 0.5}, (0.45, 0.55), id="older lake"),
        pytest.param({"signal": 0.5, "accuracy": 0.5}, (0.4, 0.6), id="both names"),
        pytest.param({"accuracy": 0.6}, (None, None), id="made for other numbers"),
    ],
)
def test_a_stages_accuracy_has_its_interval_under_either_name(catalogue, stored, bounds):
    rows = world({("vision", 1, "mean"): (5, 10)}, {"likelihood": (5, 10)})
    wide = {"signal": 0.05, "accuracy": 0.1}
    rows["stage_interval"] = [
        interval(stage, point, 0.5 - wide[name], 0.5 + wide[name], quantity=name)
        for name, point in stored.items()
        for stage in ("vision", "connector", "llm", "answer", "total")
    ]
    found = shown(catalogue(rows), "stage_signals")
    assert [row["stage"] for row in found] == ["vision", "connector", "llm", "answer"]
    assert {(row["lower"], row["upper"]) for row in found} == {bounds}
