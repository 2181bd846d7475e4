"""The label, the last probe and the answer set against each other."""

from collections import Counter

import pytest

from tests.sql.worlds import world

PROBES = {("vision", 1, "grid"): (9, 18), ("llm", 1, "last"): (7, 4)}


def confusions(con):
    return con.sql(
        "SELECT comparison, row_class_index, column_class_index, n "
        "FROM answer_confusion ORDER BY ALL"
    ).fetchall()


@pytest.mark.exact_rows("answer_confusion")
def test_three_matrices_count_every_test_sample(catalogue):
    """Of 20 samples the last probe names the first 4 right, the answer the first 2."""
    con = catalogue(world(PROBES, {"likelihood": (1, 2)}))
    assert confusions(con) == [
        ("label_answer", 0, 0, 1),
        ("label_answer", 0, 1, 9),
        ("label_answer", 1, 0, 9),
        ("label_answer", 1, 1, 1),
        ("label_probe", 0, 0, 2),
        ("label_probe", 0, 1, 8),
        ("label_probe", 1, 0, 8),
        ("label_probe", 1, 1, 2),
        ("probe_answer", 0, 0, 9),
        ("probe_answer", 0, 1, 1),
        ("probe_answer", 1, 0, 1),
        ("probe_answer", 1, 1, 9),
    ]


def test_the_last_probe_is_a_probe_even_where_the_answer_stands_for_the_llm(catalogue):
    con = catalogue(world(PROBES, {"likelihood": (10, 20)}))
    assert con.sql("SELECT module FROM stage_signal WHERE stage = 'llm'").fetchall() == [
        ("answer",)
    ]
    assert ("label_probe", 0, 1, 8) in confusions(con)


def test_the_best_kind_on_val_speaks_with_its_lowest_seed(catalogue):
    probes = {
        ("llm", 1, "last", 5, "mlp"): (9, 0),
        ("llm", 1, "last", 2, "mlp"): (9, 20),
        ("llm", 1, "last", 0, "linear"): (8, 10),
        ("llm", 0, "last", 0, "linear"): (10, 10),
    }
    con = catalogue(world(probes))
    assert confusions(con) == [("label_probe", 0, 0, 10), ("label_probe", 1, 1, 10)]


def test_a_reply_that_names_no_class_has_no_column(catalogue):
    con = catalogue(world(PROBES, {"generate": (1, 20)}, unparsed=(0, 1, 2)))
    counts = Counter({(c, column is None): 0 for c, _, column, _ in confusions(con)})
    for comparison, _, column, n in confusions(con):
        counts[comparison, column is None] += n
    assert counts["label_answer", True] == counts["probe_answer", True] == 3
    assert counts["label_answer", False] == 17


def test_without_answers_only_the_probe_is_compared(catalogue):
    con = catalogue(world(PROBES))
    assert {row[0] for row in confusions(con)} == {"label_probe"}
