"""What the verdict says in words."""

from dataclasses import replace

import pytest

from analysis.diagnosis.wording import Finding, ModeLoss, points, sentence
from warehouse.vocabulary import FAILURE_MODES, HEALTHY, MARGIN


def mode(name, stage, loss, *, is_primary=False, is_present=False):
    return ModeLoss(name, stage, loss, loss - 0.05, loss + 0.05, is_present, is_primary)


def finding(primary, *, present=(), **more):
    """A finding whose primary stage loses 0.25 of 0.35 lost."""
    modes = tuple(
        mode(
            name,
            stage,
            0.25 if stage == primary else 0.1 if stage in present else 0.0,
            is_primary=stage == primary,
            is_present=stage == primary or stage in present,
        )
        for stage, name in FAILURE_MODES.items()
    )
    return replace(
        Finding(
            verdict=FAILURE_MODES[primary],
            reason=None,
            margin=MARGIN,
            modes=modes,
            reference=0.95,
            reference_source="vision",
            baseline="texture-svm",
            answered=0.6,
            total_lower=0.3,
            total_upper=0.4,
            comprehension_loss=0.0,
            utilisation_loss=0.25,
            unparsed_loss=0.0,
            wrong_loss=0.0,
        ),
        **more,
    )


def test_losses_are_points_with_their_interval():
    said = sentence(finding("connector", present=("answer",)))
    assert said == (
        "The model answers 60% of the test images right where its probes read 95%. Of the 35 "
        "missing points, 25 (95% interval 20 to 30) are lost in the connector, between the vision "
        "tower and the language model, and 10 points (95% interval 5 to 15) still reach the last "
        "token but are not said. Retrain or widen the connector; the vision tower before it is "
        "good enough."
    )


def test_a_better_baseline_is_named():
    said = sentence(finding("vision", reference_source="baseline"))
    assert "where a traditional classifier (texture-svm) reads 95%" in said


@pytest.mark.parametrize(
    ("stage", "split", "remedy"),
    [
        ("vision", {}, "exchange the vision tower"),
        ("llm", {"comprehension_loss": 0.25, "utilisation_loss": 0.0}, "themselves lose it"),
        ("llm", {}, "try another prompt"),
        ("llm", {"comprehension_loss": None}, "for instance with LoRA"),
        ("answer", {"unparsed_loss": 0.2, "wrong_loss": 0.05}, "constrain the reply"),
        ("answer", {"unparsed_loss": 0.05, "wrong_loss": 0.2}, "calibrate the label likelihoods"),
    ],
)
def test_the_remedy_fits_the_stage_and_its_split(stage, split, remedy):
    assert remedy in sentence(finding(stage, **split))


def test_small_losses_keep_a_decimal():
    said = sentence(
        finding("vision", verdict=HEALTHY, reference=0.61, total_lower=0.0, total_upper=0.034)
    )
    assert "1.0 points (95% interval 0.0 to 3.4) below" in said


def test_the_attention_is_to_blame_when_the_image_tokens_lose_no_more_than_it_leaves():
    even = sentence(finding("llm", comprehension_loss=0.125, utilisation_loss=0.125))
    assert "the final token does not collect it" in even


def test_replies_without_a_class_are_most_only_when_more_than_the_wrong_ones():
    even = sentence(finding("answer", unparsed_loss=0.125, wrong_loss=0.125))
    assert "mapped to the wrong words" in even


@pytest.mark.parametrize(
    ("won", "said"),
    [
        (0.0, "wins nothing back"),
        (0.009, "wins nothing back"),
        (0.01, "wins back 1.0 points"),
        (0.03, "wins back 3.0 points"),
    ],
)
def test_calibration_is_advised_from_one_point_won(won, said):
    assert said in sentence(finding("answer", calibration_loss=won))


@pytest.mark.parametrize(
    ("share", "said"), [(0.0994, "9.9 points"), (0.0995, "10 points"), (-0.0995, "-10 points")]
)
def test_points_are_whole_from_where_they_would_round_to_ten(share, said):
    assert points(share) == said


@pytest.mark.parametrize(("upper", "said"), [(0.0994, "2.0 to 9.9"), (0.0995, "2 to 10")])
def test_an_interval_is_whole_from_where_its_upper_bound_rounds_to_ten(upper, said):
    found = finding("vision", verdict=HEALTHY, total_lower=0.02, total_upper=upper)
    assert f"(95% interval {said})" in sentence(found)
