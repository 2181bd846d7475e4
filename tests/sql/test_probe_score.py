"""The scores of a probe's predictions, beside where and how it was trained."""

import pytest

from tests.sql.worlds import world


@pytest.mark.exact_rows("probe_score")
def test_exact_rows(catalogue):
    """5 of 10 on val and 15 of 20 on test, of two equally large classes.

    The first are right and class follows parity: val has 3 of 5 even and 2 of 5 odd right, test 8
    of 10 and 7 of 10. Predicted even: 3 + 3 on val, 8 + 3 on test.
    """
    probe = ("llm", 1, "last", 3, "mlp", "shuffled_labels")
    con = catalogue(world({probe: (5, 15)}))
    query = (
        "SELECT * EXCLUDE (score_lower, score_upper, wilson_lower, wilson_upper) "
        "FROM probe_score ORDER BY split"
    )
    key = ("-".join(map(str, probe)), "m", "d", "llm", 1, "last", "mlp", "shuffled_labels", 3)
    f1 = {
        "test": (2 * 8 / (10 + 11) + 2 * 7 / (10 + 9)) / 2,
        "val": (2 * 3 / (5 + 6) + 2 * 2 / (5 + 4)) / 2,
    }
    assert con.sql(query).fetchall() == [
        (*key, "test", 20, 0.75, 0.75, pytest.approx(f1["test"]), "accuracy", 0.75, 20, 0.5, 0.5),
        (*key, "val", 10, 0.5, 0.5, pytest.approx(f1["val"]), "accuracy", 0.5, 10, 0.5, 0.0),
    ]


def test_the_interval_is_wilsons(catalogue):
    """15 of 20 by the formula with z = 1.959964, as in Newcombe 1998."""
    con = catalogue(world({("llm", 1, "last"): (5, 15)}))
    query = "SELECT wilson_lower, wilson_upper FROM probe_score WHERE split = 'test'"
    z2 = 1.959964**2
    centre, half = 15 + z2 / 2, z2**0.5 * (15 * 5 / 20 + z2 / 4) ** 0.5
    (row,) = con.sql(query).fetchall()
    assert row == pytest.approx(((centre - half) / (20 + z2), (centre + half) / (20 + z2)))
