"""The paper's reading of a failure mode: the largest present step down, or a bounded whole loss."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.diagnosis.evidence import Curve, Evidence, Predictor
from analysis.diagnosis.intervals import Resampling
from analysis.self_test.mean_pooled import mean_pooled_verdict
from warehouse.vocabulary import FAILURE_MODES

PLACES: dict[str, Predictor] = {
    "vision": ("vision", 1, "mean", "linear"),
    "connector": ("connector", 0, "mean", "linear"),
    "llm": ("llm", 3, "last", "linear"),
    "answer": ("answer", None, "generate", "answer"),
}
N = 400


def evidence(lost: dict[str, list[int]], n: int = N, groups: np.ndarray | None = None) -> Evidence:
    """Everything is right at first; at each stage these samples turn wrong, and stay so."""
    right, rows = np.ones(n), []
    for stage in PLACES:
        right[lost.get(stage, [])] = 0
        rows.append(right.copy())
    curves = tuple(
        Curve(module, place[2], (place,), 0, 0)
        for module, place in PLACES.items()
        if module != "answer"
    )
    return Evidence(
        groups=np.arange(n).astype(str) if groups is None else groups,
        correct=np.array(rows),
        rows={place: row for row, place in enumerate(PLACES.values())},
        chosen={"answer": PLACES["answer"]},
        curves=curves,
    )


def verdict(given: Evidence) -> str:
    """The verdict against a reference that is always right."""
    return mean_pooled_verdict(given, Resampling(1000), np.ones(given.correct.shape[1]))


@pytest.mark.parametrize("stage", PLACES)
def test_a_step_down_is_charged_to_its_stage(stage: str) -> None:
    assert verdict(evidence({stage: list(range(80))})) == FAILURE_MODES[stage]


def test_of_two_present_steps_the_larger_one_is_named_whichever_comes_first() -> None:
    few, many = list(range(40)), list(range(100, 200))
    assert verdict(evidence({"connector": few, "answer": many})) == "semantic_mapping"
    assert verdict(evidence({"connector": many, "answer": few})) == "connector_fidelity"


def test_a_larger_step_that_one_group_makes_alone_is_not_present() -> None:
    one_patient = list(range(120))
    groups = np.array([str(max(index, 119)) for index in range(N)])
    lost = {"vision": one_patient, "llm": list(range(200, 280))}
    assert verdict(evidence(lost, groups=groups)) == "llm_comprehension"


def test_a_small_loss_is_healthy_only_where_samples_bound_it_below_a_tenth() -> None:
    assert verdict(evidence({"answer": [0, 1, 2]}, n=400)) == "healthy"
    # 3 of 40: the interval begins at 0 and ends at about 0.18.
    assert verdict(evidence({"answer": [0, 1, 2]}, n=40)) == "undetermined"
    assert verdict(evidence({})) == "healthy"


def test_small_losses_everywhere_are_neither_healthy_nor_any_stages() -> None:
    lost = {stage: list(range(6 * i, 6 * i + 6)) for i, stage in enumerate(PLACES)}
    assert verdict(evidence(lost)) == "undetermined"  # 6% in all, 1.5% each


def test_steps_up_are_no_losses_and_without_a_reference_vision_stands_for_it() -> None:
    given = evidence({"vision": list(range(80))})
    given.correct[1:] = 1  # what vision's mean hides, the connector reads again
    assert verdict(given) == "vision_quality"
    assert mean_pooled_verdict(given, Resampling(1000)) == "healthy"


def test_what_was_not_probed_or_tested_leaves_the_verdict_open() -> None:
    whole = evidence({"answer": list(range(80))})
    lacking = Evidence(whole.groups, whole.correct, whole.rows, whole.chosen, whole.curves[:2])
    assert verdict(lacking) == "undetermined"
    whole.correct[2, 0] = np.nan
    assert verdict(whole) == "undetermined"
