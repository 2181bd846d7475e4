"""Queries of the report that choose: of several kinds of probes a figure shows one."""

from pathlib import Path

import pytest

from analysis import report
from analysis.queries import read_query
from tests.sql.worlds import world

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
    rows = shown(catalogue(world(probes(kinds)), marts=True), "signal_curve")
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
    assert [row["probe_accuracy"] for row in shown(catalogue(rows, marts=True), "lens")] == [
        None if preferred == "linear" else right,
        right,
    ]
