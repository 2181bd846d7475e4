"""The paper's health score on curves worked out by hand."""

from math import exp, log, sqrt

import pytest

from tests.sql.worlds import world

LLM = tuple(("llm", layer, True) for layer in range(3))


def health(con, columns="health_score", where="module = 'llm' AND track = 'last'"):
    return con.sql(f"SELECT {columns} FROM feature_health WHERE {where}").fetchall()


def curve(*right):
    """Probes of the `last` readout along the llm, right on so many of 20 test samples."""
    return {("llm", layer, "last"): (5, score) for layer, score in enumerate(right)}


@pytest.mark.parametrize(
    ("right", "gain", "penalty"),
    [
        pytest.param((10, 10, 10), log(1), exp(-0.2 * 0 / 0.5), id="flat"),
        pytest.param((8, 12, 16), log(0.8 / 0.4), exp(-0.2 * 0.4 / 0.8), id="rising"),
        pytest.param((16, 12, 8), log(0.4 / sqrt(0.8 * 0.4)), exp(-0.2 * 0.4 / 0.4), id="falling"),
        pytest.param(
            (16, 8, 16), log(0.8 / sqrt(0.8 * 0.4)), exp(-0.2 * 0.8 / 0.8), id="dip and recovery"
        ),
    ],
)
def test_score_of_a_curve_is_the_papers_formula(catalogue, right, gain, penalty):
    con = catalogue(world(curve(*right), loci=LLM))
    end = right[-1] / 20
    assert health(con, "n_loci, p_start, p_min, p_end") == [
        (3, right[0] / 20, min(right) / 20, end)
    ]
    assert health(con, "gain_factor, variation_penalty, health_score")[0] == pytest.approx(
        (gain, penalty, end * (1 + gain) * penalty), abs=1e-12
    )


def test_connector_of_one_locus_starts_at_the_end_of_vision(catalogue):
    probes = {
        ("vision", 0, "mean"): (5, 8),
        ("vision", 1, "mean"): (5, 16),
        ("vision", 2, "mean"): (5, 2),
        ("connector", 0, "mean"): (5, 12),
    }
    con = catalogue(world(probes))
    (row,) = health(con, "n_loci, p_start, p_min, p_end, health_score", "module = 'connector'")
    gain, penalty = log(0.6 / sqrt(0.8 * 0.6)), exp(-0.2 * 0.2 / 0.6)
    assert row == pytest.approx((2, 0.8, 0.6, 0.6, 0.6 * (1 + gain) * penalty), abs=1e-12)


def test_loci_off_the_path_are_ignored(catalogue):
    probes = {("vision", layer, "mean"): (5, right) for layer, right in enumerate((8, 16, 2))}
    con = catalogue(world(probes))
    assert health(con, "n_loci, p_min, p_end", "module = 'vision'") == [(2, 0.4, 0.8)]


def test_accuracy_of_zero_at_the_end_scores_zero(catalogue):
    con = catalogue(world(curve(10, 10, 0), loci=LLM))
    assert health(con, "p_end, gain_factor, variation_penalty, health_score") == [
        (0, None, None, 0)
    ]


def test_accuracy_of_zero_on_the_way_has_no_score(catalogue):
    con = catalogue(world(curve(10, 0, 10), loci=LLM))
    ((gain, penalty, score),) = health(con, "gain_factor, variation_penalty, health_score")
    assert (gain, score) == (None, None)
    assert penalty == pytest.approx(exp(-0.2 * 1.0 / 0.5))


def test_curve_without_its_modules_end_has_no_score(catalogue):
    con = catalogue(world(curve(10, 12), loci=LLM))
    assert health(con, "n_loci, p_start, p_end, health_score") == [(2, 0.5, None, None)]


@pytest.mark.exact_rows("feature_health")
def test_each_track_has_its_own_score(catalogue):
    probes = curve(10, 12, 14) | {("llm", layer, "mean"): (5, 10) for layer in range(3)}
    con = catalogue(world(probes, loci=LLM))
    assert health(con, "track, p_end", "TRUE ORDER BY track") == [("last", 0.7), ("mean", 0.5)]


def test_seeds_are_averaged_and_controls_left_out(catalogue):
    probes = curve(10, 10) | {
        ("llm", 2, "last", 0): (5, 10),
        ("llm", 2, "last", 1): (5, 14),
        ("llm", 2, "last", 0, "linear", "shuffled_labels"): (5, 0),
    }
    con = catalogue(world(probes, loci=LLM))
    assert health(con, "n_loci, p_end") == [(3, 0.6)]


@pytest.mark.parametrize(
    ("kinds", "end"),
    [
        (("linear", "mlp", "centroid"), 0.5),
        (("mlp", "centroid"), 0.9),
        (("nearest", "centroid"), 0.7),
    ],
)
def test_our_kinds_are_preferred_in_order_then_those_of_packages_by_name(catalogue, kinds, end):
    right = {"linear": 10, "mlp": 18, "centroid": 14, "nearest": 16}
    probes = {
        ("llm", layer, "last", 0, kind): (5, right[kind]) for kind in kinds for layer in range(3)
    }
    con = catalogue(world(probes, loci=LLM))
    assert health(con, "n_loci, p_end") == [(3, end)]
