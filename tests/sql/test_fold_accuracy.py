"""Scores of k-fold probes."""

import pytest

from tests.sql.worlds import NAMES, class_of, world


@pytest.mark.exact_rows("fold_accuracy")
def test_a_fold_probe_is_scored_on_every_sample_and_placed_by_its_depth(catalogue):
    """llm layer 1 lies at depth 5; 24 of its 30 samples are right, of both classes as many."""
    rows = world()
    rows["fold_probe"] = [
        {"fold_probe_id": "f", **NAMES, "module": "llm", "layer": 1, "readout": "last"}
        | {"kind": "linear", "n_folds": 3}
    ]
    rows["fold_logit"] = [
        {"fold_probe_id": "f", "sample_id": row["sample_id"], "fold": number % 3}
        | {"predicted_class_index": (class_of(number) + (number >= 24)) % 2}
        for number, row in enumerate(rows["sample"])
    ]
    con = catalogue(rows)
    found = con.sql(
        "SELECT * EXCLUDE (macro_f1, score_lower, score_upper, wilson_lower, wilson_upper) "
        "FROM fold_accuracy"
    ).fetchall()
    scores = (30, 0.8, pytest.approx(0.8), "accuracy", 0.8, 0.5, pytest.approx(0.6))
    assert found == [("m", "d", 5, "llm", 1, "last", "linear", 3, *scores)]
