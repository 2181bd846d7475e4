"""Which models belong together, and how far today's numbers lie apart."""

import pytest

from tests.sql.worlds import NAMES, world

MODELS = (
    ("med", "base"),
    ("med", "adapter:lora"),
    ("med", "adapter:lora+fault:swap@vision:0.5"),
    ("med", "fault:swap@vision:0.5+noise@llm.1:0.2"),
    ("general", "base"),
    ("general", "adapter:lora"),
    ("alone", "adapter:lora"),
)


def identify(name, variant):
    return name if variant == "base" else f"{name}+{variant}"


@pytest.fixture
def con(catalogue):
    return catalogue(
        {
            "model": [
                {"model_id": identify(name, variant), "name": name, "variant": variant}
                for name, variant in MODELS
            ],
            "model_base": [
                {"name": "med", "base_name": "general"},
                {"name": "alone", "base_name": "absent"},
            ],
        }
    )


@pytest.mark.exact_rows("model_pair")
def test_every_model_is_paired_with_what_it_came_from(con):
    query = "SELECT model_id, base_model_id, pair_kind FROM model_pair ORDER BY ALL"
    assert con.sql(query).fetchall() == [
        ("general+adapter:lora", "general", "adapter"),
        ("med", "general", "general_base"),
        ("med+adapter:lora", "med", "adapter"),
        ("med+adapter:lora+fault:swap@vision:0.5", "med+adapter:lora", "fault"),
        ("med+fault:swap@vision:0.5+noise@llm.1:0.2", "med", "fault"),
    ]


def paired(catalogue, intervals):
    """Two answers, `a` right on 12 of 20 test samples and `b` on 9; the mart's rows of the pair."""
    rows = world({}, {"likelihood": (5, 12)})
    other = world({}, {"likelihood": (5, 9)})
    rows["answer"] = [
        row | {"model_id": model_id}
        for model_id, part in (("a", rows), ("b", other))
        for row in part["answer"]
    ]
    rows["model"] = [
        {"model_id": "a", "name": "a", "variant": "base"},
        {"model_id": "b", "name": "b", "variant": "base"},
    ]
    rows["pair_interval"] = intervals
    con = catalogue(rows)
    return con.sql(
        "SELECT model_id, base_model_id, pair_kind, stage, quantity, value, base_value, "
        "round(difference, 9), difference_lower, difference_upper, is_different "
        "FROM mart_model_pairs WHERE stage = 'answer' AND quantity = 'accuracy'"
    ).fetchall()


def probed(fits: dict[str, str]):
    """Models that were probed after the tower and answered, `a` better than `b`, whose probes are
    fitted for these scores."""
    rows: dict[str, list[dict[str, object]]] = {"model": []}
    for right, (model_id, score) in zip((16, 12), fits.items(), strict=True):
        places = {("vision", 1, "mean"): (9, right), ("llm", 1, "last"): (8, right - 2)}
        places |= {("vision", 0, "mean"): (6, right - 4)}
        other = world(places, {"likelihood": (5, right - 6)})
        for row in other["probe"] + other["probe_logit"]:
            row["probe_id"] = f"{model_id}-{row['probe_id']}"
        other["probe"] = [row | {"score": score} for row in other["probe"]]
        for table in ("probe", "layer", "answer"):
            other[table] = [row | {"model_id": model_id} for row in other[table]]
        other["model"] = [{"model_id": model_id, "name": model_id, "variant": "base"}]
        for table, some in other.items():
            rows[table] = some if table == "sample" else rows.get(table, []) + some
    rows["pair_interval"] = [interval(0.2, 0.1, 0.3)]
    return rows


def test_what_probes_for_different_scores_read_has_no_difference(catalogue):
    asked = (
        "SELECT stage, quantity, fitted_score, base_fitted_score, round(value, 9), "
        "round(base_value, 9), round(difference, 9), is_different FROM mart_model_pairs "
        "WHERE quantity IN ('accuracy', 'loss') AND stage IN ('vision', 'answer') "
        "ORDER BY quantity, stage"
    )
    plain, even = "accuracy", "balanced_accuracy"
    for other, differs in ((plain, [0.2, 0.0, 0.0]), (even, [None] * 3)):
        found = catalogue(probed({"a": plain, "b": other})).sql(asked).fetchall()
        assert found == [
            ("answer", "accuracy", None, None, 0.5, 0.3, 0.2, True),
            ("vision", "accuracy", plain, other, 0.8, 0.6, differs[0], None),
            ("answer", "loss", plain, other, 0.2, 0.2, differs[1], None),
            ("vision", "loss", plain, other, 0.0, 0.0, differs[2], None),
        ]


def test_health_is_set_side_by_side_where_probes_were_tested_on_as_many_samples(catalogue):
    asked = "SELECT stage FROM mart_model_pairs WHERE quantity = 'health_mean'"
    rows = probed({"a": "accuracy", "b": "accuracy"})
    assert catalogue(rows).sql(asked).fetchall() == [("vision",)]
    rows["probe_logit"] = [
        row
        for row in rows["probe_logit"]
        if not (row["probe_id"].startswith("b-") and row["sample_id"] == "test00")
    ]
    assert catalogue(rows).sql(asked).fetchall() == []


def interval(point, lower, upper, quantity="accuracy"):
    ids = {"model_id": "a", "base_model_id": "b", "dataset_id": NAMES["dataset_id"]}
    key = {"stage": "answer", "quantity": quantity}
    return {**ids, **key, "point": point, "lower": lower, "upper": upper}


def test_a_pair_that_somebody_asked_for_shows_its_interval(catalogue):
    row = ("a", "b", "chosen", "answer", "accuracy", 0.6, 0.45, 0.15)
    assert paired(catalogue, [interval(0.15, 0.05, 0.25)]) == [(*row, 0.05, 0.25, True)]


def test_an_interval_of_an_older_lake_is_shown_and_counts_where_there_is_no_newer(catalogue):
    old, new = interval(0.15, 0.04, 0.3, "signal"), interval(0.15, 0.05, 0.25)
    for stored, bounds in (([old], (0.04, 0.3)), ([old, new], (0.05, 0.25))):
        assert [row[-3:-1] for row in paired(catalogue, stored)] == [bounds]


def test_an_interval_that_holds_0_shows_no_difference(catalogue):
    assert [row[-1] for row in paired(catalogue, [interval(0.15, -0.05, 0.25)])] == [False]


def test_an_interval_made_for_other_numbers_is_left_away(catalogue):
    assert [row[-3:] for row in paired(catalogue, [interval(0.2, 0.1, 0.3)])] == [
        (None, None, None)
    ]


def test_an_interval_by_another_score_is_left_away(catalogue):
    stored = [interval(0.15, 0.05, 0.25) | {"score": "balanced_accuracy"}]
    assert [row[-3:] for row in paired(catalogue, stored)] == [(None, None, None)]


def test_models_that_nobody_paired_are_not_compared(catalogue):
    assert paired(catalogue, []) == []
