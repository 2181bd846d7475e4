"""The curves that the health score summarises, locus by locus."""

import pytest

from tests.sql.worlds import world


@pytest.mark.exact_rows("health_curve")
def test_a_curve_holds_the_probed_places_of_its_module_and_track(catalogue):
    """Depths 0 and 1 are vision's, 3 the connector's, 4 and 5 the llm's; 2 is off the path."""
    probes = {
        ("vision", 0, "mean"): (5, 8),
        ("vision", 1, "mean"): (5, 16),
        ("vision", 1, "grid"): (5, 18),
        ("vision", 2, "mean"): (5, 2),
        ("connector", 0, "mean"): (5, 12),
        ("llm", 0, "last"): (5, 10),
        ("llm", 1, "last"): (5, 14),
        ("llm", 1, "last", 0, "mlp"): (5, 20),
        ("llm", 1, "mean", 0, "mlp"): (5, 6),
    }
    con = catalogue(world(probes))
    assert con.sql("SELECT * FROM health_curve ORDER BY module, track, depth").fetchall() == [
        ("m", "d", "connector", "mean", 1, "vision", 1, "linear", True, False, "accuracy", 0.8),
        ("m", "d", "connector", "mean", 3, "connector", 0, "linear", False, True, "accuracy", 0.6),
        ("m", "d", "llm", "last", 4, "llm", 0, "linear", True, False, "accuracy", 0.5),
        ("m", "d", "llm", "last", 5, "llm", 1, "linear", False, True, "accuracy", 0.7),
        ("m", "d", "llm", "mean", 5, "llm", 1, "mlp", False, True, "accuracy", 0.3),
        ("m", "d", "vision", "mean", 0, "vision", 0, "linear", True, False, "accuracy", 0.4),
        ("m", "d", "vision", "mean", 1, "vision", 1, "linear", False, True, "accuracy", 0.8),
    ]


def test_a_connector_of_two_places_starts_at_its_own_first(catalogue):
    loci = (("vision", 0, True), ("connector", 0, True), ("connector", 1, True))
    probes = {(module, layer, "mean"): (5, 10) for module, layer, _ in loci}
    con = catalogue(world(probes, loci=loci))
    query = (
        "SELECT depth, is_start, is_end FROM health_curve WHERE module = 'connector' ORDER BY depth"
    )
    assert con.sql(query).fetchall() == [(1, True, False), (2, False, True)]


@pytest.mark.parametrize(
    ("kinds", "preferred"),
    [
        (("linear", "mlp", "centroid"), "linear"),
        (("mlp", "centroid"), "mlp"),
        (("nearest", "centroid"), "centroid"),
    ],
)
def test_a_curve_is_of_the_preferred_kind(catalogue, kinds, preferred):
    """Ours in their order, then those of packages by name."""
    con = catalogue(world({("llm", 1, "last", 0, kind): (5, 10) for kind in kinds}))
    assert con.sql("SELECT kind FROM health_curve").fetchall() == [(preferred,)]
