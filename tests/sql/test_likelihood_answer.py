"""What likelihoods name by their sum, per token and less what is likely without any image."""

import pytest

from tests.sql.worlds import NAMES, world

COUNTED = {
    "label_logprobs": [-4.0, -3.0],
    "label_logprobs_per_token": [-1.0, -1.5],
    "label_pmi": [-2.0, -2.0],
    "end_token": "</s>",
}
BEFORE = {"label_logprobs": [-1.0, -1.0]}


def answers(scores, splits=("test",)):
    """Rows of `answer` with the same scores for every sample of the splits."""
    of = {**NAMES, "method": "likelihood", "parsed": True, "predicted_class_index": 1}
    return [
        of | scores | {"sample_id": row["sample_id"]}
        for row in world()["sample"]
        if row["split"] in splits
    ]


@pytest.mark.exact_rows("likelihood_answer")
def test_each_score_names_its_own_class_and_says_how_many_share_the_first_place(catalogue):
    con = catalogue(world() | {"answer": answers(COUNTED)[:1]})
    name = answers(COUNTED)[0]["sample_id"]
    assert con.sql("SELECT * FROM likelihood_answer ORDER BY score").fetchall() == [
        ("m", "d", name, "per_token", True, 0, 1),
        ("m", "d", name, "pmi", True, 0, 2),
        ("m", "d", name, "sum", True, 1, 1),
    ]


@pytest.mark.exact_rows("likelihood_accuracy")
def test_accuracies_and_ties_are_counted_by_score(catalogue):
    con = catalogue(world() | {"answer": answers(COUNTED)})
    n = len(answers(COUNTED))
    assert con.sql("SELECT * FROM likelihood_accuracy ORDER BY score").fetchall() == [
        ("m", "d", "per_token", "test", True, n, 0, 0.5, 0.0),
        ("m", "d", "pmi", "test", True, n, n, 0.5, 1.0),
        ("m", "d", "sum", "test", True, n, 0, 0.5, 0.0),
    ]


def test_scores_from_before_ends_were_counted_have_a_sum_alone_and_say_so(catalogue):
    con = catalogue(world() | {"answer": answers(BEFORE)})
    query = "SELECT DISTINCT score, counts_end, n_tied = n FROM likelihood_accuracy"
    assert con.sql(query).fetchall() == [("sum", False, True)]


def test_the_sum_is_what_answers_are_scored_by(catalogue):
    con = catalogue(world() | {"answer": answers(COUNTED)})
    query = (
        "SELECT likelihood_accuracy.accuracy - answer_accuracy.accuracy FROM likelihood_accuracy "
        "JOIN answer_accuracy USING (model_id, dataset_id, split) "
        "WHERE score = 'sum' AND method = 'likelihood'"
    )
    assert con.sql(query).fetchall() == [(0.0,)]
