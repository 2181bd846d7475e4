"""What a test set can show: weights, effective sizes, detectable losses and what a verdict says."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, sqrt
from typing import Any

import pytest

from analysis.bootstrap import fold_widening
from bench.bench_power import WORLDS, World, power
from tests.sql.conftest import Reader
from tests.sql.worlds import Rows, interval, world

Catalogue = Callable[[Rows], Reader]

Z = 1.959964, 0.841621
MARGIN = 0.02


def dataset(**more: Any) -> list[dict[str, Any]]:
    return [{"dataset_id": "d", "title": "Shapes", "evaluation": "split", **more}]


def uneven(score: str) -> Rows:
    """Six test images of class 0 in two groups, two of class 1 in a third."""
    groups = ["a", "a", "a", "b", "b", "b", "c", "c"]
    return {
        "dataset": dataset(score=score),
        "sample": [
            {
                "dataset_id": "d",
                "sample_id": f"s{i}",
                "class_index": int(group == "c"),
                "split": "test",
                "group_id": group,
            }
            for i, group in enumerate(groups)
        ],
    }


def standard_errors(loss: float, noise: float, n: float) -> float:
    """How many lie between the margin and a loss: those of the bound and those of the power."""
    least = MARGIN
    for z in Z:
        # Bisection for what `loss_beyond` solves in closed form.
        low, high = least, 1.0
        while high - low > 1e-12:
            middle = (low + high) / 2
            beyond = least + z * sqrt((noise + middle - middle**2) / n)
            low, high = (middle, high) if middle < beyond else (low, middle)
        least = low
    return least - loss


@pytest.mark.exact_rows("scored_sample")
@pytest.mark.parametrize(
    ("score", "rare", "common"), [("accuracy", 1, 1), ("balanced_accuracy", 1 / 2, 1 / 6)]
)
def test_a_sample_weighs_what_its_score_says(
    catalogue: Catalogue, score: str, rare: float, common: float
) -> None:
    rows = catalogue(uneven(score)).sql(
        "SELECT sample_id, group_id, weight FROM scored_sample ORDER BY sample_id"
    )
    weights = [("a", common)] * 3 + [("b", common)] * 3 + [("c", rare)] * 2
    assert rows.fetchall() == [(f"s{i}", *each) for i, each in enumerate(weights)]


@pytest.mark.exact_rows("dataset_power")
@pytest.mark.parametrize(
    ("score", "n_alike"),
    [
        # Groups of 3, 3 and 2: 8^2 / (9 + 9 + 4).
        ("accuracy", 64 / 22),
        # Groups that weigh 1/2, 1/2 and 1.
        ("balanced_accuracy", 2**2 / 1.5),
    ],
)
def test_groups_and_rare_classes_leave_fewer_images(
    catalogue: Catalogue, score: str, n_alike: float
) -> None:
    (row,) = catalogue(uneven(score)).sql("SELECT * FROM dataset_power").pl().to_dicts()
    least, likely = row.pop("least_detectable_loss"), row.pop("likely_detectable_loss")
    assert row == {
        "dataset_id": "d",
        "score": score,
        "n_samples": 8,
        "n_groups": 3,
        "widening": 1,
        "n_effective": pytest.approx(n_alike),
    }
    assert standard_errors(least, 0, n_alike) == pytest.approx(0, abs=1e-6)
    assert standard_errors(likely, 0.2, n_alike) == pytest.approx(0, abs=1e-6)
    rows = catalogue(uneven(score)).sql("SELECT n_samples, n_groups FROM dataset_power").fetchall()
    assert rows == [(8, 3)]


@pytest.mark.parametrize("score", ["accuracy", "balanced_accuracy"])
def test_folds_widen_as_intervals_are_widened(catalogue: Catalogue, score: str) -> None:
    rows = uneven(score)
    ((apart,),) = catalogue(rows).sql("SELECT n_effective FROM dataset_power").fetchall()
    rows["dataset"] = dataset(score=score, evaluation="folds", n_folds=3)
    found = catalogue(rows).sql("SELECT widening, n_effective FROM dataset_power").fetchall()
    wider = fold_widening(3, score)
    assert found == [(pytest.approx(wider), pytest.approx(apart / wider**2))]


PLACES = {
    ("vision", 1, "mean"): (10, 18),
    ("connector", 0, "mean"): (9, 14),
    ("llm", 1, "last"): (8, 12),
}
"""Right on the first 18, 14 and 12 of 20 test images; the baseline knows 19, the answer 8."""


def diagnosed(**more: Any) -> Rows:
    rows = world(PLACES, {"generate": (6, 8)}, {("svm", 0): (9, 19)}, **more)
    return rows | {"dataset": dataset(score="accuracy")}


@pytest.mark.exact_rows("stage_difference")
def test_a_difference_is_what_the_stage_before_knows_more(catalogue: Catalogue) -> None:
    rows = catalogue(diagnosed()).sql(
        "SELECT stage, sum(difference), sum(difference ^ 2), count(*), sum(weight) "
        "FROM stage_difference GROUP BY stage ORDER BY stage"
    )
    assert rows.fetchall() == [
        ("answer", 4, 4, 20, 20),
        ("connector", 4, 4, 20, 20),
        ("llm", 2, 2, 20, 20),
        ("total", 11, 11, 20, 20),
        ("vision", 1, 1, 20, 20),
    ]


@pytest.mark.exact_rows("detectable_loss")
def test_what_a_set_shows_of_a_model(catalogue: Catalogue) -> None:
    """Nothing is gained at any stage, so that what differs is what is lost."""
    found = catalogue(diagnosed()).sql(
        "SELECT stage, n_samples, n_groups, n_effective, disagreement, loss, n_to_settle "
        "FROM detectable_loss ORDER BY stage"
    )

    def images(loss: float, bound: float = MARGIN) -> int:
        return ceil(sum(Z) ** 2 * (loss - loss**2) / (loss - bound) ** 2)

    def row(stage: str, lost: int, settled: int | None) -> tuple[Any, ...]:
        share = pytest.approx(lost / 20)
        return stage, 20, 20, pytest.approx(20), share, share, settled

    assert found.fetchall() == [
        row("answer", 4, images(0.2)),
        row("connector", 4, images(0.2)),
        row("llm", 2, images(0.1)),
        row("total", 11, None),
        row("vision", 1, images(0.05)),
    ]
    losses = catalogue(diagnosed()).sql("SELECT DISTINCT detectable_loss FROM detectable_loss")
    ((loss,),) = losses.fetchall()
    assert standard_errors(loss, 0, 20) == pytest.approx(0, abs=1e-6)


def test_groups_count_by_how_much_their_images_have_in_common(catalogue: Catalogue) -> None:
    """The answer loses images 8 to 11: one of each of four pairs, or all of one group of four."""
    query = "SELECT n_effective FROM detectable_loss WHERE stage = 'answer'"
    assert catalogue(diagnosed(n_groups=10)).sql(query).fetchall() == [(pytest.approx(20),)]
    alike = diagnosed()
    for row in alike["sample"]:
        row["group_id"] = f"{row['split']}{int(row['sample_id'][-2:]) // 4}"
    assert catalogue(alike).sql(query).fetchall() == [(pytest.approx(5),)]


@pytest.mark.exact_rows("power_statement")
def test_a_statement_tells_what_shows_and_what_would_settle(catalogue: Catalogue) -> None:
    rows = catalogue(diagnosed()).sql("SELECT * FROM power_statement")
    statement = (
        "with 20 test images in 20 groups the smallest loss that can be shown (80% power) is of 28 "
        "points"
    )
    assert rows.fetchall() == [("m", "d", 39, statement)]


def test_a_doubt_says_what_the_set_shows_and_what_would_settle_it(catalogue: Catalogue) -> None:
    rows = diagnosed()
    losses = {"vision": 0.05, "connector": 0.2, "llm": 0.1, "answer": 0.2}
    rows["stage_interval"] = [
        interval(stage, loss, 0.0, loss + 0.2) for stage, loss in losses.items()
    ]
    rows["stage_interval"] += [interval("total", 0.55, 0.3, 0.7)]
    rows["stage_interval"] += [
        interval("total", 0.95, 0.9, 1.0) | {"quantity": "accuracy"},
    ]
    reasons = catalogue(rows).sql("SELECT DISTINCT verdict, reason FROM failure_mode").fetchall()
    assert reasons == [
        (
            "undetermined",
            "something is lost for certain, but not for certain in any one stage: more test images "
            "(about 39) would settle where; with 20 test images in 20 groups the smallest loss "
            "that can be shown (80% power) is of 28 points",
        )
    ]


def test_thousands_are_told_apart_in_what_would_settle(catalogue: Catalogue) -> None:
    """As everywhere in texts: losses of 0.2 are hardly above a margin of 0.195."""
    rows = diagnosed()
    losses = {"vision": 0.05, "connector": 0.2, "llm": 0.1, "answer": 0.2}
    rows["stage_interval"] = [
        interval(stage, loss, 0.0, loss + 0.2) | {"margin": 0.195} for stage, loss in losses.items()
    ]
    rows["stage_interval"] += [
        interval("total", 0.55, 0.3, 0.7),
        interval("total", 0.95, 0.9, 1.0) | {"quantity": "accuracy"},
    ]
    found = catalogue(rows).sql("SELECT DISTINCT reason FROM failure_mode").fetchall()
    assert "more test images (about 51,000) would" in found[0][0]


def test_a_loss_of_nothing_is_settled_by_no_number_of_images(catalogue: Catalogue) -> None:
    """Nothing differs anywhere: no spread to divide by, no logarithm of 0."""
    rows = world(dict.fromkeys(PLACES, (10, 20)), {"generate": (10, 20)})
    con = catalogue(rows | {"dataset": dataset(score="accuracy")})
    assert con.sql("SELECT DISTINCT n_to_settle FROM power_statement").fetchall() == [(None,)]
    worth = con.sql("SELECT DISTINCT n_effective, disagreement FROM detectable_loss").fetchall()
    assert worth == [(20, 0)]


@pytest.mark.parametrize("margin", [0.2, 0.2 - 1e-16, 0.2 + 1e-9])
def test_a_loss_at_the_margin_is_settled_by_no_number_of_images(
    catalogue: Catalogue, margin: float
) -> None:
    rows = diagnosed()
    rows["stage_interval"] = [interval("connector", 0.2, 0.0, 0.4) | {"margin": margin}]
    query = "SELECT n_to_settle FROM detectable_loss WHERE stage = 'connector'"
    assert catalogue(rows).sql(query).fetchall() == [(None,)]


def test_no_more_than_everything_can_be_lost(catalogue: Catalogue) -> None:
    """One group tells as much as one image, however many are in it."""
    rows = uneven("accuracy")
    for row in rows["sample"]:
        row["group_id"] = "one"
    shown = catalogue(rows).sql("SELECT n_effective, likely_detectable_loss FROM dataset_power")
    assert shown.fetchall() == [(1, 1)]
    everything = diagnosed()
    for row in everything["sample"]:
        row["group_id"] = row["split"]
    found = catalogue(everything).sql("SELECT DISTINCT n_effective FROM detectable_loss")
    assert found.fetchall() == [(1,)]


@pytest.mark.slow
@pytest.mark.parametrize("case", WORLDS, ids=str)
def test_a_tenth_less_shows_less_often_and_a_tenth_more_more_often(case: World) -> None:
    """What is said to be shown in 80 of 100 samplings; a few images more or less of a loss without
    any noise are whole steps of a count, so that a little more may show there."""
    said = case.smallest_loss
    assert power(case, 0.9 * said, 300) < (0.8 if case.noise else 0.86)
    assert power(case, 1.1 * said, 300) > 0.8
