"""Which stages still knew the class of one image."""

import pytest

from tests.sql.worlds import world

PROBES = {
    ("vision", 1, "grid"): (9, 4),
    ("connector", 0, "grid"): (8, 3),
    ("llm", 1, "last"): (7, 2),
}


def outcomes(con):
    return con.sql(
        "SELECT sample_id, vision_knows, connector_knows, llm_knows, answer_knows "
        "FROM stage_outcome ORDER BY sample_id"
    ).fetchall()


@pytest.mark.exact_rows("stage_outcome")
def test_one_row_per_test_sample_tells_which_stages_knew(catalogue):
    con = catalogue(world(PROBES, {"likelihood": (1, 1)}))
    assert outcomes(con) == [
        ("test00", True, True, True, True),
        ("test01", True, True, True, False),
        ("test02", True, True, False, False),
        ("test03", True, False, False, False),
        *((f"test{i:02d}", False, False, False, False) for i in range(4, 20)),
    ]


@pytest.mark.exact_rows("stage_prediction")
def test_the_lowest_seed_speaks_for_a_probe(catalogue):
    """The other seed says the opposite of every sample."""
    right, wrong = (9, 20), (9, 0)
    for lowest, other, knows in ((wrong, right, False), (right, wrong, True)):
        probes = {("vision", 1, "grid", 3): lowest, ("vision", 1, "grid", 7): other}
        con = catalogue(world(probes))
        predicted = con.sql(
            "SELECT sample_id, class_index, predicted_class_index FROM stage_prediction "
            "WHERE stage = 'vision' ORDER BY sample_id LIMIT 2"
        ).fetchall()
        first, second = (0, 1) if knows else (1, 0)
        assert predicted == [("test00", 0, first), ("test01", 1, second)]
        assert len(con.sql("FROM stage_prediction WHERE stage = 'vision'").fetchall()) == 20
        assert {row[1] for row in outcomes(con)} == {knows}


def test_a_reply_that_names_no_class_knows_nothing(catalogue):
    con = catalogue(world(PROBES, {"generate": (1, 20)}, unparsed=(0,)))
    assert [row[-1] for row in outcomes(con)] == [False] + [True] * 19


def test_stages_nobody_looked_at_are_unknown(catalogue):
    con = catalogue(world({("vision", 1, "grid"): (9, 20)}))
    assert set(outcomes(con)) == {(f"test{i:02d}", True, None, None, None) for i in range(20)}
