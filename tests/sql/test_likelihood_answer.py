"""What likelihoods name by their sum, per token and less what is likely without any image."""

import pytest

from tests.sql.worlds import NAMES, class_of, world

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
        ("m", "d", "per_token", "test", True, n, 0, 0.5, 0.0, n // 2, n // 2),
        ("m", "d", "pmi", "test", True, n, n, 0.5, 1.0, n // 2, n // 2),
        ("m", "d", "sum", "test", True, n, 0, 0.5, 0.0, 0, 0),
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
        "WHERE likelihood_accuracy.score = 'sum' AND method = 'likelihood'"
    )
    assert con.sql(query).fetchall() == [(0.0,)]


def scored(**right):
    """Answers of which each score names the first so many right, the others wrong; of all of them
    `tied` have both classes at the highest sum."""
    tied, rows = right.pop("tied", 0), []
    columns = {"total": "label_logprobs", "per_token": "label_logprobs_per_token"}
    for i, row in enumerate(answers(COUNTED)):
        for name, n_right in right.items():
            said = class_of(i) if i < n_right else 1 - class_of(i)
            row[columns.get(name, "label_pmi")] = [-2.0 + (1 - said), -2.0 + said]
        row["predicted_class_index"] = class_of(i) if i < right["total"] else 1 - class_of(i)
        if i >= 20 - tied:  # of the wrong ones: as many of each class
            row |= {"label_logprobs": [-1.0, -1.0], "predicted_class_index": 0}
        rows.append(row)
    return rows


EFFECTS = {
    "none": (scored(total=10, per_token=10, pmi=10), (0.5, 0.0, None, None, None)),
    "lengths": (
        scored(total=10, per_token=16, pmi=14),
        (
            *(0.5, 0.0, "per_token", 0.8),
            "the answer by likelihood rests on how long the class names are: per token, 80% of the "
            "test images are named right instead of 50%",
        ),
    ),
    "common names": (
        scored(total=10, per_token=10, pmi=20),
        (
            *(0.5, 0.0, "pmi", 1.0),
            "the answer by likelihood rests on how common the class names are: less what each is "
            "worth without the image, 100% of the test images are named right instead of 50%",
        ),
    ),
    "as chance would": (scored(total=10, per_token=13, pmi=7), (0.5, 0.0, None, None, None)),
    "ties": (
        scored(total=10, per_token=10, pmi=10, tied=2),
        (
            *(0.55, 0.1, None, None),
            "10% of the answers by likelihood are ties, which go to the first of their classes",
        ),
    ),
}


@pytest.mark.exact_rows("likelihood_effect")
@pytest.mark.parametrize("effect", EFFECTS)
def test_what_decides_beside_the_image_is_said(catalogue, effect):
    rows, expected = EFFECTS[effect]
    con = catalogue(world() | {"answer": rows})
    assert con.sql("SELECT * FROM likelihood_effect").fetchall() == [("m", "d", *expected)]


def test_of_generated_answers_nothing_is_said_of_likelihoods(catalogue):
    said = [row | {"method": "generate"} for row in scored(total=12, per_token=20, pmi=20)]
    con = catalogue(world() | {"answer": scored(total=10, per_token=20, pmi=20) + said})
    assert con.sql("SELECT * FROM likelihood_effect").fetchall() == []


def test_a_verdict_on_likelihoods_says_what_they_rest_on(catalogue):
    con = catalogue(world() | {"answer": EFFECTS["lengths"][0]})
    ((note,),) = con.sql("SELECT note FROM verdict_obstacle").fetchall()
    baseline, effect = note.split("; ")
    assert baseline.startswith("no baseline")
    assert effect == EFFECTS["lengths"][1][-1]


@pytest.mark.exact_rows("tie_effect")
@pytest.mark.parametrize(
    ("tied", "note"),
    [(0, None), (2, "10% of the replies name a class that is no likelier than another one")],
)
def test_replies_whose_class_is_no_likelier_than_another_are_told(catalogue, tied, note):
    rows = scored(total=10, per_token=10, pmi=10, tied=tied)
    said = [row | {"method": "generate"} for row in rows]
    said[0] |= {"predicted_class_index": None, "parsed": False}  # names none: no tie of its own
    con = catalogue(world() | {"answer": rows + said})
    assert con.sql("SELECT * FROM tie_effect").fetchall() == [("m", "d", tied / 20, note)]
    ((told,),) = con.sql("SELECT note FROM verdict_obstacle").fetchall()
    assert (note or "no baseline") in told


def test_a_reply_of_a_class_that_is_less_likely_than_tied_ones_is_no_tie(catalogue):
    rows = scored(total=10, per_token=10, pmi=10)
    for row in rows:
        row["label_logprobs"] = [-1.0, -1.0, -2.0]
    said = [row | {"method": "generate", "predicted_class_index": 2} for row in rows]
    con = catalogue(world() | {"answer": rows + said})
    assert con.sql("SELECT tied_share FROM tie_effect").fetchall() == [(0.0,)]


def test_majorities_that_are_ties_are_told(catalogue):
    method = "sampled:2x0.7"
    said = [row | {"method": method, "label_logprobs": None} for row in scored(total=20)]
    draws = [
        {name: row[name] for name in ("model_id", "dataset_id", "sample_id", "method")}
        | {"prompt_id": "default", "option_order": "given", "image_control": "own"}
        | {"draw": draw, "seed": draw, "finish_reason": "stop"}
        | {"predicted_class_index": (row["predicted_class_index"] + draw * (i < 3)) % 2}
        for i, row in enumerate(said)
        for draw in range(2)
    ]
    con = catalogue(world() | {"answer": said, "reply_draw": draws})
    ((share, told),) = con.sql("SELECT tied_share, note FROM tie_effect").fetchall()
    assert share == 0.15
    assert told == "15% of the majorities are ties, which go to the class that was drawn first"
