"""What rests on balanced accuracy, counted by hand beside what the same rows are by accuracy.

Of the 20 test samples the first 15 are of class 0, of the 10 val samples the first 7. A predictor
that is right on the first k test samples has k / 20 by accuracy; by balanced accuracy it has k / 30
up to 15, where all of class 0 are right, and from there a tenth more for each.
"""

import math
from typing import Any

import pytest

from tests.sql.worlds import NAMES, Rows, class_of, interval, samples, world

BALANCED = "balanced_accuracy"
SCORES = pytest.mark.parametrize("score", ["accuracy", BALANCED])
LARGER = {"test": 15, "val": 7}


def label(sample_id: str) -> int:
    split, number = sample_id[:-2], int(sample_id[-2:])
    return int(number >= LARGER[split])


def uneven(rows: Rows, score: str) -> Rows:
    """The same lake with other labels: who was right of a sample is, who was wrong is wrong."""
    for table in ("probe_logit", "baseline_logit", "answer"):
        for row in rows[table]:
            said, own = row["predicted_class_index"], label(row["sample_id"])
            if said is not None:
                right = said == class_of(int(row["sample_id"][-2:]))
                row["predicted_class_index"] = own if right else 1 - own
    for row in rows["sample"]:
        row["class_index"] = label(row["sample_id"])
    rows["dataset"] = [{"dataset_id": "d", "title": "D", "n_classes": 2, "score": score}]
    return rows


def right_on(rows: Rows, probe_id: str, split: str, right: set[int]) -> None:
    for row in rows["probe_logit"]:
        if (row["probe_id"], row["split"]) == (probe_id, split):
            own = label(row["sample_id"])
            row["predicted_class_index"] = own if int(row["sample_id"][-2:]) in right else 1 - own


def wilson(share: float, n: float) -> tuple[Any, Any]:
    z2 = 1.959964**2
    centre, half = (
        share * n + z2 / 2,
        z2**0.5 * (share * (1 - share) * n + z2 / 4) ** 0.5,
    )
    return pytest.approx((centre - half) / (n + z2)), pytest.approx((centre + half) / (n + z2))


@SCORES
def test_a_score_names_itself_its_chance_and_its_interval(catalogue, score):
    """18 of 20: all 15 of class 0 and 3 of the 5 of class 1. As sure as 4 / (1/15 + 1/5) = 15."""
    con = catalogue(uneven(world({("llm", 1, "last"): (8, 18)}), score))
    query = (
        "SELECT accuracy, balanced_accuracy, score, score_value, chance, signal, score_lower, "
        "score_upper, wilson_lower FROM probe_accuracy WHERE split = 'test'"
    )
    value, chance, n = {"accuracy": (0.9, 0.75, 20), BALANCED: (0.8, 0.5, 15)}[score]
    (row,) = con.sql(query).fetchall()
    assert row == (
        *(0.9, 0.8, score, value, chance, pytest.approx(0.6)),
        *wilson(value, n),
        wilson(0.9, 20)[0],
    )
    flow = con.sql(
        "SELECT score, test_accuracy, chance, wilson_lower, wilson_upper FROM signal_flow"
    ).fetchall()
    assert flow == [(score, value, chance, *wilson(value, n))]


@SCORES
def test_what_stands_for_a_stage_is_chosen_by_the_score(catalogue, score):
    """On val the grid has 7 of 10, all of class 0; the mean has 6: 3 of either class."""
    rows = uneven(world({("vision", 1, "grid"): (7, 15), ("vision", 1, "mean"): (5, 5)}), score)
    right_on(rows, "vision-1-mean-0-linear-none", "val", {0, 1, 2, 7, 8, 9})
    right_on(rows, "vision-1-mean-0-linear-none", "test", {0, 1, 2, 15, 16, 17, 18, 19})
    (row,) = (
        catalogue(rows)
        .sql(
            "SELECT readout, score, val_accuracy, test_accuracy, chance FROM stage_signal "
            "WHERE stage = 'vision'"
        )
        .fetchall()
    )
    assert (
        row
        == {
            "accuracy": ("grid", score, 0.7, 0.75, 0.75),
            BALANCED: ("mean", score, pytest.approx((3 / 7 + 1) / 2), pytest.approx(0.6), 0.5),
        }[score]
    )


@SCORES
def test_losses_are_of_the_score(catalogue, score):
    """Right on 19, 18, 16 and 12 of the test samples, and a baseline on all."""
    probes = {
        ("vision", 1, "grid"): (10, 19),
        ("connector", 0, "grid"): (9, 18),
        ("llm", 1, "last"): (8, 16),
    }
    rows = uneven(world(probes, {"likelihood": (6, 12)}, {("svm", 0): (10, 20)}), score)
    losses = catalogue(rows).sql("SELECT score, loss FROM stage_loss ORDER BY stage_order")
    expected = {
        "accuracy": (0.05, 0.05, 0.1, 0.2),
        BALANCED: (0.1, 0.1, 0.2, 0.2),  # 1, 0.9, 0.8, 0.6, 0.4
    }[score]
    assert losses.fetchall() == [(score, pytest.approx(loss)) for loss in expected]


@SCORES
def test_replies_without_a_class_weigh_as_the_score_has_it(catalogue, score):
    """Of three such replies the probe knew two: test14, one of 15, and test16, one of 5."""
    probes = {
        ("vision", 1, "grid"): (9, 19),
        ("connector", 0, "grid"): (9, 18),
        ("llm", 1, "last"): (8, 17),
    }
    rows = uneven(world(probes, {"generate": (6, 12)}, unparsed=(14, 16, 18)), score)
    con = catalogue(rows)
    share = {"accuracy": 2 / 20, BALANCED: (1 / 15 + 1 / 5) / 2}[score]
    found = con.sql("SELECT known_share, known_truncated_share FROM unparsed_knowledge")
    assert found.fetchall() == [(pytest.approx(share), 0)]


@SCORES
def test_intervals_of_another_score_count_as_missing_and_the_reason_says_so(catalogue, score):
    """Right on all of class 0 and none of class 1 or half of each: losses of 0 by either score."""
    probes = {(stage, 1 if stage == "vision" else 0, "grid"): (9, 20) for stage in
              ("vision", "connector")} | {("llm", 1, "last"): (9, 20)}  # fmt: skip
    rows = uneven(world(probes, {"likelihood": (9, 20)}, {("svm", 0): (9, 20)}), score)
    stages = ("vision", "connector", "llm", "answer", "total")
    rows["stage_interval"] = [interval(stage, 0.0, 0.0, 0.0) for stage in stages]
    rows["stage_interval"] += [interval("total", 1.0, 1.0, 1.0, quantity="accuracy")]
    con = catalogue(rows)
    verdicts = con.sql("SELECT DISTINCT score, verdict, reason FROM failure_mode").fetchall()
    assert (
        verdicts
        == {
            "accuracy": [("accuracy", "healthy", None)],
            BALANCED: [
                (
                    BALANCED,
                    "undetermined",
                    "the intervals are of accuracy, and the score is balanced_accuracy now: run "
                    "`layerhouse diagnose --model m --dataset d`; with 20 test images in 20 groups "
                    "the smallest loss that can be shown (80% power) is of 34 points",
                )
            ],
        }[score]
    )
    for row in rows["stage_interval"]:
        row["score"] = score
    verdicts = catalogue(rows).sql("SELECT DISTINCT verdict FROM failure_mode").fetchall()
    assert verdicts == [("healthy",)]


@SCORES
def test_prompts_are_compared_by_the_score(catalogue, score):
    """One prompt names class 0 whatever it sees; another is right on 14 of all, 9 of class 0."""
    said = {"default": [0] * 20, "plain": [0] * 9 + [1] * 11}
    rows: Rows = {
        "sample": samples(),
        "dataset": [{"dataset_id": "d", "n_classes": 2}],
        "answer": [
            {**NAMES, "sample_id": f"test{i:02d}", "method": "generate", "parsed": True}
            | {"prompt_id": prompt, "predicted_class_index": named}
            for prompt, names in said.items()
            for i, named in enumerate(names)
        ],
    }
    rows |= {"probe_logit": [], "baseline_logit": []}
    for row in rows["sample"]:
        row["class_index"] = label(row["sample_id"])
    rows["dataset"][0]["score"] = score
    con = catalogue(rows)
    found = con.sql("SELECT prompt_id, score_value, chance FROM prompt_accuracy ORDER BY ALL")
    assert (
        found.fetchall()
        == {
            "accuracy": [("default", 0.75, 0.75), ("plain", 0.7, 0.75)],
            BALANCED: [("default", 0.5, 0.5), ("plain", pytest.approx(0.8), 0.5)],
        }[score]
    )
    compared = con.sql("SELECT n_understood, score, best_prompt FROM prompt_sensitivity")
    assert (
        compared.fetchall()
        == {
            "accuracy": [(0, "accuracy", None)],
            BALANCED: [(1, BALANCED, "plain")],
        }[score]
    )


@SCORES
def test_the_board_names_the_score_and_shows_its_interval(catalogue, score):
    """12 of 20 right, all of class 0, and AUROC, which is of no score: 12 of 15 are ties."""
    rows = uneven(world(answers={"likelihood": (6, 12)}), score)
    for answer in rows["answer"]:
        likely = [math.log(0.9), math.log(0.1)]
        answer["label_logprobs"] = likely[:: -1 if answer["predicted_class_index"] else 1]
    con = catalogue(rows)
    found = con.sql(
        "SELECT score, answer_accuracy, answer_lower, answer_upper, chance, answer_signal, "
        "balanced_accuracy, answer_auroc FROM mart_leaderboard"
    ).fetchall()
    value, chance, n = {"accuracy": (0.6, 0.75, 20), BALANCED: (0.4, 0.5, 15)}[score]
    signal = pytest.approx((value - chance) / (1 - chance))
    assert found == [(score, value, *wilson(value, n), chance, signal, 0.4, pytest.approx(0.4))]


@SCORES
def test_self_tests_by_another_score_do_not_count(catalogue, score):
    trial = {**NAMES, "trial_id": "t", "seed": 0, "destroying": False, "answer_cost": 0.0}
    trial |= {"verdict": "healthy", "mean_pooled_verdict": "healthy", "trial_kind": "healthy"}
    rows = {"dataset": [{"dataset_id": "d", "score": score}], "fault_trial": [trial]}
    found = catalogue(rows).sql("SELECT DISTINCT trial_id, score FROM fault_outcome").fetchall()
    assert found == {"accuracy": [("t", "accuracy")], BALANCED: []}[score]
