"""What the way of asking does to answers: prompts, orders of options, methods."""

import pytest

NAMES = {"model_id": "m", "dataset_id": "d"}
TRUTH = [0, 1, 0, 1] * 5
"""Twenty test samples of two classes."""


def asked(prompt, order, said, method="generate"):
    """The answers of one way of asking: classes by sample, None for a reply that names none."""
    return [
        {**NAMES, "sample_id": f"s{i:02d}", "method": method, "prompt_id": prompt}
        | {"option_order": order, "predicted_class_index": c, "parsed": c is not None}
        for i, c in enumerate(said)
    ]


def lake(*ways, reversed_prompts=()):
    return {
        "dataset": [{"dataset_id": "d", "title": "D", "n_samples": 20, "n_classes": 2}],
        "model": [{"model_id": "m", "name": "m", "variant": "base"}],
        "sample": [
            {"dataset_id": "d", "sample_id": f"s{i:02d}", "class_index": c, "split": "test"}
            | {"group_id": f"s{i:02d}"}
            for i, c in enumerate(TRUTH)
        ],
        "prompt": [
            {"prompt_id": name, "option_style": "list", "option_order": "reversed"}
            for name in reversed_prompts
        ],
        "answer": [row for way in ways for row in way],
    }


ORDERS = ("given", "rotated:1")
WRONG = [1 - c for c in TRUTH]
NEARLY = [WRONG[0], None, *TRUTH[2:]]


@pytest.mark.exact_rows("asked_answer")
def test_an_answer_stands_where_its_class_was_listed(catalogue):
    """Of three classes; the samples show the first and the second."""
    rows = lake(
        asked("default", "given", [1]),
        asked("default", "rotated:1", [1]),
        asked("back", "given", [0, 0]),
        asked("back", "rotated:1", [None]),
        reversed_prompts=("back",),
    )
    rows["dataset"][0]["n_classes"] = 3
    blank = {"image_control": "blank"}
    brought = {"method": "imported:elsewhere"}
    for other in (blank, brought):
        rows["answer"] += [row | other for row in asked("default", "given", [0])]
    found = catalogue(rows).sql(
        "SELECT prompt_id, option_order, is_right, answered_position, true_position "
        "FROM asked_answer ORDER BY ALL"
    )
    assert found.fetchall() == [
        ("back", "given", False, 2, 1),
        ("back", "given", True, 2, 2),
        ("back", "rotated:1", False, None, 1),
        ("default", "given", False, 1, 0),
        ("default", "rotated:1", False, 0, 2),
    ]


@pytest.mark.exact_rows("prompt_accuracy")
def test_accuracy_is_told_by_prompt_and_order_with_the_share_of_the_first_option(catalogue):
    con = catalogue(lake(asked("default", "given", NEARLY), asked("odd", "given", [0] * 20)))
    found = con.sql(
        "SELECT prompt_id, n, accuracy, round(wilson_lower, 3), round(wilson_upper, 3), chance, "
        "is_understood, unparsed_share, first_share, first_true_share FROM prompt_accuracy "
        "ORDER BY prompt_id"
    )
    assert found.fetchall() == [
        ("default", 20, 0.9, 0.699, 0.972, 0.5, True, 0.05, 0.45, 0.5),
        ("odd", 20, 0.5, 0.299, 0.701, 0.5, False, 0.0, 1.0, 0.5),
    ]


@pytest.mark.exact_rows("prompt_sensitivity")
def test_what_is_not_understood_is_named_and_averaged_into_nothing(catalogue):
    """Of two understood prompts one errs on two samples; a third answers at chance."""
    con = catalogue(
        lake(
            asked("default", "given", TRUTH),
            asked("plain", "given", NEARLY),
            asked("odd", "given", [0] * 20),
        )
    )
    found = con.sql("SELECT * EXCLUDE (model_id, dataset_id) FROM prompt_sensitivity").fetchall()
    assert found == [
        (
            *(
                "generate",
                3,
                2,
                "odd",
                "accuracy",
                pytest.approx(0.95),
                "plain",
                0.9,
                "default",
                1.0,
            ),
            *(pytest.approx(0.1), pytest.approx(0.1), None, None, None),
        )
    ]


def test_prompts_asked_about_other_numbers_of_samples_are_not_compared(catalogue):
    """A sweep with a limit: half of the samples, all of them answered rightly."""
    con = catalogue(lake(asked("default", "given", NEARLY), asked("plain", "given", TRUTH[:10])))
    found = con.sql(
        "SELECT n_prompts, n_understood, mean_accuracy, worst_prompt, best_prompt, spread, "
        "flip_share FROM prompt_sensitivity"
    ).fetchall()
    assert found == [(2, 2, None, None, None, None, pytest.approx(0.2))]


def test_a_preference_for_the_first_option_is_told_from_rotations(catalogue):
    """Whatever is listed first is named half the time; what is right otherwise."""
    first = [0] * 10 + TRUTH[10:]
    turned = [1] * 10 + TRUTH[10:]
    con = catalogue(lake(asked("default", "given", first), asked("default", "rotated:1", turned)))
    found = con.sql(
        "SELECT n_prompts, n_understood, flip_share, n_orders, turned_share, position_bias "
        "FROM prompt_sensitivity"
    ).fetchall()
    assert found == [(1, 1, None, 2, 0.5, pytest.approx(0.25))]
    fair = catalogue(lake(asked("default", "given", TRUTH), asked("default", "rotated:1", TRUTH)))
    query = "SELECT turned_share, position_bias FROM prompt_sensitivity"
    assert fair.sql(query).fetchall() == [(0.0, 0.0)]


def test_one_way_of_asking_is_no_sensitivity(catalogue):
    con = catalogue(lake(asked("default", "given", TRUTH)))
    assert con.sql("FROM prompt_sensitivity").fetchall() == []


@pytest.mark.exact_rows("method_agreement")
def test_methods_agree_where_they_name_the_same_class(catalogue):
    con = catalogue(
        lake(asked("default", "given", NEARLY), asked("default", "given", TRUTH, "likelihood"))
    )
    assert con.sql("FROM method_agreement").fetchall() == [
        ("m", "d", "default", 20, pytest.approx(0.9))
    ]


def test_the_mart_shows_every_way_with_the_best_and_the_worst(catalogue):
    con = catalogue(
        lake(
            asked("default", "given", TRUTH),
            asked("default", "rotated:1", TRUTH),
            asked("plain", "given", NEARLY),
            asked("odd", "given", [0] * 20),
        ),
    )
    found = con.sql(
        "SELECT prompt_id, option_order, accuracy, is_understood, is_best, is_worst "
        "FROM mart_prompt_sensitivity ORDER BY ALL"
    ).fetchall()
    assert found == [
        ("default", "given", 1.0, True, True, False),
        ("default", "rotated:1", 1.0, True, False, False),
        ("odd", "given", 0.5, False, False, False),
        ("plain", "given", 0.9, True, False, True),
    ]


@pytest.mark.exact_rows("draw_agreement")
def test_the_mart_shows_how_far_methods_and_draws_agree(catalogue):
    """By likelihood as by reply but for two samples; of two draws of each, one names the answer."""
    drawn = "sampled:2x0.7"
    rows = lake(
        *(asked("default", order, TRUTH, way) for way in ("likelihood", drawn) for order in ORDERS),
        *(asked("default", order, NEARLY) for order in ORDERS),
    )
    rows["reply_draw"] = [
        {**row, "draw": draw, "seed": draw, "finish_reason": "stop"}
        | {"image_control": "own", "predicted_class_index": row["predicted_class_index"] - draw}
        for row in rows["answer"]
        if row["method"] == drawn
        for draw in range(2)
    ]
    for row in rows["reply_draw"]:
        del row["parsed"]
        row["predicted_class_index"] = max(row["predicted_class_index"], 0)
    con = catalogue(rows)
    found = con.sql(
        "SELECT method, option_order, method_agreement, draw_agreement "
        "FROM mart_prompt_sensitivity ORDER BY ALL"
    )
    assert con.sql("FROM draw_agreement ORDER BY ALL").fetchall() == [
        ("m", "d", drawn, "default", order, 20, pytest.approx(0.75))
        for order in ("given", "rotated:1")
    ]
    query = "SELECT answer_method, method_agreement, draw_agreement FROM mart_leaderboard"
    assert con.sql(query).fetchall() == [("generate", pytest.approx(0.9), None)]
    alone = rows | {"answer": [row for row in rows["answer"] if row["method"] == drawn]}
    ranked = catalogue(alone).sql(query).fetchall()
    assert ranked == [(drawn, None, pytest.approx(0.75))]
    assert found.fetchall() == [
        ("generate", "given", pytest.approx(0.9), None),
        ("generate", "rotated:1", None, None),
        ("likelihood", "given", pytest.approx(0.9), None),
        ("likelihood", "rotated:1", None, None),
        (drawn, "given", None, pytest.approx(0.75)),
        (drawn, "rotated:1", None, pytest.approx(0.75)),
    ]


@pytest.mark.exact_rows("reply_agreement")
def test_agreement_is_the_share_of_draws_that_name_the_answer(catalogue):
    method = "sampled:4x0.7"
    rows = lake(asked("default", "given", [1, None], method))
    drawn = [(1, "stop"), (0, "stop"), (1, "length"), (None, "stop")], [(None, "length")] * 4
    rows["reply_draw"] = [
        {**NAMES, "sample_id": f"s{sample:02d}", "method": method, "draw": draw, "seed": draw}
        | {"prompt_id": "default", "option_order": "given", "image_control": "own"}
        | {"predicted_class_index": named, "finish_reason": finish}
        for sample, draws in enumerate(drawn)
        for draw, (named, finish) in enumerate(draws)
    ]
    found = catalogue(rows).sql(
        "SELECT sample_id, predicted_class_index, n_draws, n_unnamed, n_truncated, agreement, "
        "is_tied FROM reply_agreement ORDER BY sample_id"
    )
    assert found.fetchall() == [
        ("s00", 1, 4, 1, 1, 0.5, False),
        ("s01", None, 4, 4, 4, 0.0, False),
    ]
