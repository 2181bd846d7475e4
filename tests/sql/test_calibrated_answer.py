"""Label likelihoods without the model's preference for some words."""

import pytest

from tests.sql.worlds import NAMES, world

# The model says class 1 whatever it sees, by three nats; the image moves it by one.
LEANING = {0: [-3.0, -1.0], 1: [-4.0, 0.0]}


def likelihoods(logprobs, splits=("val", "test")):
    """Rows of `answer`: every sample of the splits gets its true class's log-likelihoods."""
    rows = world()["sample"]
    return [
        {
            **NAMES,
            "sample_id": row["sample_id"],
            "method": "likelihood",
            "parsed": True,
            "label_logprobs": logprobs[row["class_index"]],
            "predicted_class_index": 1,
        }
        for row in rows
        if row["split"] in splits
    ]


def accuracies(con):
    query = "SELECT method, accuracy FROM answer_accuracy WHERE split = 'test' ORDER BY method"
    return con.sql(query).fetchall()


@pytest.mark.exact_rows("calibrated_answer")
def test_a_preference_that_no_image_explains_is_taken_off(catalogue):
    con = catalogue(world() | {"answer": likelihoods(LEANING)})
    query = "SELECT * FROM calibrated_answer ORDER BY sample_id"
    assert con.sql(query).fetchall() == sorted(
        ("m", "d", row["sample_id"], row["class_index"]) for row in world()["sample"]
    )
    assert accuracies(con) == [("calibrated", 1.0), ("likelihood", 0.5)]


def test_the_means_come_from_val_alone(catalogue):
    con = catalogue(world() | {"answer": likelihoods(LEANING, ("test",))})
    assert accuracies(con) == [("likelihood", 0.5)]


def test_of_equal_scores_the_first_class_is_named(catalogue):
    con = catalogue(world() | {"answer": likelihoods({0: [-1.0, -2.0], 1: [-1.0, -2.0]})})
    query = "SELECT DISTINCT predicted_class_index FROM calibrated_answer"
    assert con.sql(query).fetchall() == [(0,)]


def test_what_calibration_wins_back_is_a_part_of_the_semantic_loss(catalogue):
    probes = {("vision", 1, "grid"): (9, 18), ("llm", 1, "last"): (9, 18)}
    con = catalogue(world(probes) | {"answer": likelihoods(LEANING)})
    query = "SELECT loss, calibration_loss FROM stage_loss ORDER BY stage_order"
    rows = con.sql(query).fetchall()
    assert [row[1] for row in rows[:3]] == [None] * 3
    # The probe reads 0.9, the model answers 0.5; calibrated it would be right everywhere.
    assert rows[3] == pytest.approx((0.4, 0.4))


def test_calibration_never_stands_for_the_answer(catalogue):
    con = catalogue(world() | {"answer": likelihoods(LEANING)})
    query = "SELECT DISTINCT readout FROM stage_candidate"
    assert con.sql(query).fetchall() == [("likelihood",)]


def test_under_folds_the_means_are_of_other_folds_alone(catalogue):
    """Class 0 leads by so much in six samples, dealt twice to three folds. The mean lead over the
    other folds is 1.25, 0.75 and -1, the second time 2.25, -0.25 and -1: for the samples, over both
    times, 1.75, 0.5, -0.125, 1.5, -0.625 and -1. One time alone, and means over all samples or over
    the sample's own fold would each name other classes."""
    leads = (-6.0, 3.0, 0.0, -1.0, 0.0, 6.0)
    dealt = ((0, 0, 1, 1, 2, 2), (0, 1, 2, 0, 1, 2))
    of = [{"dataset_id": "d", "sample_id": f"s{i}"} for i in range(6)]
    rows = {
        "sample": [{**one, "split": "test", "class_index": i % 2} for i, one in enumerate(of)],
        "sample_fold": [
            {**one, "repetition": repetition, "fold": fold}
            for repetition, folds in enumerate(dealt)
            for one, fold in zip(of, folds, strict=True)
        ],
        "answer": [
            {**NAMES, **one, "method": "likelihood", "parsed": True}
            | {"label_logprobs": [lead - 9, -9.0], "predicted_class_index": 0}
            for one, lead in zip(of, leads, strict=True)
        ],
    }
    con = catalogue(rows)
    named = con.sql("SELECT predicted_class_index FROM calibrated_answer ORDER BY sample_id")
    assert [one for (one,) in named.fetchall()] == [1, 0, 0, 1, 0, 0]
    assert accuracies(con) == [("calibrated", 3 / 6), ("likelihood", 3 / 6)]


def test_folds_of_other_sizes_count_by_their_samples(catalogue):
    """Class 0 leads by 2 in the one sample of a fold and by 1 in the three of the other: more than
    their mean, though less than their sum."""
    of = [{"dataset_id": "d", "sample_id": f"s{i}"} for i in range(4)]
    rows = {
        "sample": [{**one, "split": "test", "class_index": 0} for one in of],
        "sample_fold": [{**one, "fold": min(i, 1)} for i, one in enumerate(of)],
        "answer": [
            {**NAMES, **one, "method": "likelihood", "parsed": True}
            | {"label_logprobs": [lead - 9, -9.0], "predicted_class_index": 0}
            for one, lead in zip(of, (2, 1, 1, 1), strict=True)
        ],
    }
    named = catalogue(rows).sql("FROM calibrated_answer ORDER BY sample_id").fetchall()
    assert [row[-1] for row in named] == [0, 1, 1, 1]
