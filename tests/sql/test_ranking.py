"""Which answer counts, and which models may be ranked against each other."""

import json
from datetime import datetime
from typing import Any

import pytest

from tests.sql.worlds import world

TRUTH = [0, 1] * 10
"""Twenty test samples of two classes."""
EVERY, FIRST, SECOND = range(20), range(10), range(10, 20)


def lake(*answers: list[dict[str, Any]], **more: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [row for one in answers for row in one]
    names = sorted({row["model_id"] for row in rows})
    return {
        "dataset": [{"dataset_id": "d", "title": "D", "n_samples": 20, "n_classes": 2}],
        "model": [{"model_id": name, "name": name, "variant": "base"} for name in names],
        "sample": [
            {"dataset_id": "d", "sample_id": f"s{i:02d}", "class_index": c, "split": "test"}
            | {"group_id": f"s{i:02d}"}
            for i, c in enumerate(TRUTH)
        ],
        "answer": rows,
        **more,
    }


def said(model, samples, n_right, method="generate", prompt="default") -> list[dict[str, Any]]:
    """Answers of which the first `n_right` are right."""
    return [
        {"model_id": model, "dataset_id": "d", "sample_id": f"s{i:02d}", "method": method}
        | {"prompt_id": prompt, "parsed": True}
        | {"predicted_class_index": TRUTH[i] if place < n_right else 1 - TRUTH[i]}
        for place, i in enumerate(samples)
    ]


def choice(number: int, method: str | None, prompt: str | None, day: int = 1) -> dict[str, Any]:
    """A choice that replaces the one before it by number."""
    return {
        "run_id": f"r{number}",
        "command": "diagnose-choice",
        "model_id": "a",
        "dataset_id": "d",
        "started_at": datetime(2026, 1, day),
        "status": "finished",
        "config": json.dumps(
            {
                "method": method,
                "prompt_id": prompt,
                "replaces": f"r{number - 1}" if number > 1 else None,
            }
        ),
    }


@pytest.mark.exact_rows("answer_ranking")
def test_only_the_same_test_samples_are_ranked(catalogue):
    con = catalogue(
        lake(
            said("a", EVERY, 12),
            said("b", EVERY, 15, "likelihood"),
            said("c", EVERY, 12, "imported:elsewhere"),
            said("few", FIRST, 10),
        ),
    )
    query = (
        "SELECT model_id, method, prompt_id, n_test, n_samples, answer_rank, rank_note "
        "FROM answer_ranking ORDER BY model_id"
    )
    mixed = "ranked with answers by generate, imported, likelihood"
    few = "not ranked: answered 10 of 20 test samples, the models that are ranked 20"
    assert con.sql(query).fetchall() == [
        ("a", "generate", "default", 20, 20, 2, mixed),
        ("b", "likelihood", "default", 20, 20, 1, mixed),
        ("c", "imported:elsewhere", None, 20, 20, 2, mixed),
        ("few", "generate", "default", 10, 20, None, few),
    ]
    ranks = "SELECT leaderboard_rank, rank_note FROM mart_leaderboard ORDER BY model_id"
    assert con.sql(ranks).fetchall() == [(2, mixed), (1, mixed), (2, mixed), (None, few)]


def test_where_all_are_partial_the_samples_of_most_models_are_ranked(catalogue):
    con = catalogue(lake(said("a", FIRST, 5), said("b", FIRST, 6), said("c", SECOND, 10)))
    other = "not ranked: answered other test samples than the models that are ranked"
    assert con.sql(
        "SELECT model_id, answer_rank, rank_note FROM answer_ranking ORDER BY model_id"
    ).fetchall() == [("a", 2, None), ("b", 1, None), ("c", None, other)]


@pytest.mark.exact_rows("diagnosis_choice", "diagnosed_method")
def test_the_newest_choice_counts_and_what_it_leaves_open_follows_the_rule(catalogue):
    answers = [
        said("a", EVERY, 12),
        said("a", EVERY, 8, "likelihood"),
        said("a", EVERY, 3, prompt="letters"),
        said("b", FIRST, 3),
    ]
    counted = "SELECT * FROM diagnosed_method ORDER BY model_id"
    b = ("b", "d", "generate", "default", 10, 20, False)
    for choices, row, accuracy in (
        ([], ("generate", "default", 20, 20, False), 0.6),
        ([choice(1, "likelihood", None)], ("likelihood", "default", 20, 20, True), 0.4),
        (
            [choice(1, "likelihood", None, day=9), choice(2, None, "letters")],  # a clock went back
            ("generate", "letters", 20, 20, True),
            0.15,
        ),
        (
            [choice(1, "likelihood", None), choice(2, None, None)],
            ("generate", "default", 20, 20, False),
            0.6,
        ),
    ):
        con = catalogue(lake(*answers, run=choices))
        assert con.sql(counted).fetchall() == [("a", "d", *row), b]
        accuracies = "SELECT test_accuracy FROM stage_signal WHERE model_id = 'a'"
        assert con.sql(accuracies).fetchall() == [(pytest.approx(accuracy),)]
        last = choices[-1:] and json.loads(choices[-1]["config"])
        found = con.sql(
            "SELECT model_id, dataset_id, run_id, method, prompt_id FROM diagnosis_choice"
        )
        assert found.fetchall() == [
            ("a", "d", each["run_id"], last["method"], last["prompt_id"]) for each in choices[-1:]
        ]


def test_an_answer_stands_for_no_stage_of_a_model_that_was_not_probed(catalogue):
    con = catalogue(lake(said("api", EVERY, 12, "imported:elsewhere")))
    assert con.sql("SELECT stage FROM stage_signal").fetchall() == [("answer",)]
    assert con.sql(
        "SELECT vision_accuracy, llm_accuracy, answer_accuracy, retained_signal, total_loss "
        "FROM mart_leaderboard"
    ).fetchall() == [(None, None, 0.6, None, None)]


@pytest.mark.exact_rows("retained_signal")
def test_the_floor_is_the_best_of_the_same_model_with_random_weights(catalogue):
    """Chance 0.5; m retains 0.2 of 0.4, its random twins 0.05 of 0.3 and 0.1 of 0.4; n has none.

    What probes for another score read of a third twin is no floor of the others.
    """
    rows = world(at_the_end(14), {"generate": (6, 13)})
    for model_id, name, variant, n_seen, n_right in (
        ("m+random:0", "m", "random:0", 16, 11),
        ("m+random:1", "m", "random:1", 18, 12),
        ("m+random:2", "m", "random:2", 20, 20),
        ("n", "n", "base", 18, 18),
    ):
        other = world(at_the_end(n_right, n_seen), {"generate": (5, 10)})
        other["model"][0] |= {"name": name, "variant": variant}
        for row in other["probe"] + other["probe_logit"]:
            row["probe_id"] = f"{model_id}-{row['probe_id']}"
        if variant == "random:2":
            other["probe"] = [row | {"score": "balanced_accuracy"} for row in other["probe"]]
        for table in ("model", "layer", "probe", "answer"):
            rows[table] += [row | {"model_id": model_id} for row in other[table]]
        rows["probe_logit"] += other["probe_logit"]
    found = catalogue(rows).sql(
        "SELECT model_id, n_test, reference_accuracy, reference_source, round(total_loss, 9), "
        "round(retained_signal, 9), round(random_floor, 9), vision_accuracy, random_accuracy "
        "FROM retained_signal ORDER BY model_id"
    )
    assert found.fetchall() == [
        ("m", 20, 0.9, "vision", 0.25, 0.5, 0.25, 0.9, 0.9),
        ("m+random:0", 20, 0.8, "vision", 0.3, 0.166666667, 0.25, 0.8, 0.9),
        ("m+random:1", 20, 0.9, "vision", 0.4, 0.25, 0.25, 0.9, 0.9),
        ("m+random:2", 20, 1.0, "vision", 0.5, 1.0, 1.0, 1.0, 1.0),
        ("n", 20, 0.9, "vision", 0.4, 1.0, None, 0.9, None),
    ]


def at_the_end(n_right: int, n_seen: int = 18) -> dict[tuple[Any, ...], tuple[int, int]]:
    return {
        ("vision", 1, "mean"): (9, n_seen),
        ("connector", 0, "mean"): (9, n_seen),
        ("llm", 1, "last"): (7, n_right),
    }
