"""What the verdict says in words."""

from dataclasses import replace

import pytest

from analysis.diagnosis.findings import (
    Failure,
    Floor,
    Healthy,
    LossParts,
    PresentLoss,
    ReadAt,
    Undetermined,
)
from analysis.diagnosis.wording import points, sentence
from warehouse.vocabulary import FAILURE_MODES, MARGIN

PARTS = LossParts(
    comprehension_loss=0.0,
    utilisation_loss=0.25,
    unparsed_loss=0.0,
    truncated_loss=0.0,
    wrong_loss=0.0,
    calibration_loss=None,
)


def loss(stage, share, *, is_primary=False):
    name = FAILURE_MODES[stage]
    return PresentLoss(name, stage, share, share - 0.05, share + 0.05, True, is_primary)


def failure(primary, *, also=(), baseline=None, **parts):
    """A finding whose primary stage loses 0.25 of 0.35 lost."""
    return Failure(
        modes=(),
        margin=MARGIN,
        reason=None,
        answered=0.6,
        lost=0.95 - 0.6,
        reference=0.95,
        baseline=baseline,
        primary=loss(primary, 0.25, is_primary=True),
        also=tuple(loss(stage, 0.1) for stage in also),
        parts=replace(PARTS, **parts),
    )


def healthy(lower, upper):
    return Healthy((), MARGIN, None, answered=0.6, lost=0.61 - 0.6, lower=lower, upper=upper)


def test_losses_are_points_with_their_interval():
    said = sentence(failure("connector", also=("answer",)))
    assert said == (
        "The model answers 60% of the test images right where its probes read 95%. Of the 35 "
        "missing points, 25 (95% interval 20 to 30) are lost in the connector, between the vision "
        "tower and the language model, and 10 points (95% interval 5 to 15) still reach the last "
        "token but are not said. Retrain or widen the connector; the vision tower before it is "
        "good enough."
    )


def test_a_better_baseline_is_named():
    said = sentence(failure("vision", baseline="texture-svm"))
    assert "where a traditional classifier (texture-svm) reads 95%" in said


@pytest.mark.parametrize(
    ("stage", "split", "remedy"),
    [
        ("vision", {}, "exchange the vision tower"),
        ("llm", {"comprehension_loss": 0.25, "utilisation_loss": 0.0}, "themselves lose it"),
        ("llm", {}, "try another prompt"),
        ("llm", {"comprehension_loss": None}, "for instance with LoRA"),
        ("answer", {"unparsed_loss": 0.2, "wrong_loss": 0.05}, "constrain the reply"),
        ("answer", {"truncated_loss": 0.2, "unparsed_loss": 0.05}, "--max-new-tokens"),
        ("answer", {"unparsed_loss": 0.05, "wrong_loss": 0.2}, "calibrate the label likelihoods"),
    ],
)
def test_the_remedy_fits_the_stage_and_its_split(stage, split, remedy):
    assert remedy in sentence(failure(stage, **split))


def test_small_losses_keep_a_decimal():
    said = sentence(healthy(0.0, 0.034))
    assert "1.0 points (95% interval 0.0 to 3.4) below" in said


def test_the_attention_is_to_blame_when_the_image_tokens_lose_no_more_than_it_leaves():
    even = sentence(failure("llm", comprehension_loss=0.125, utilisation_loss=0.125))
    assert "the final token does not collect it" in even


def test_replies_without_a_class_are_most_only_when_more_than_the_wrong_ones():
    even = sentence(failure("answer", unparsed_loss=0.125, wrong_loss=0.125))
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
    assert said in sentence(failure("answer", calibration_loss=won))


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0994, "9.9 points"),
        (0.09949999999999999, "10 points"),  # a hundred times this is 9.95 to the last bit
        (0.0995, "10 points"),
        (-0.0995, "-10 points"),
    ],
)
def test_points_are_whole_from_where_they_would_round_to_ten(share, said):
    assert points(share) == said


@pytest.mark.parametrize(("upper", "said"), [(0.0994, "2.0 to 9.9"), (0.0995, "2 to 10")])
def test_an_interval_is_whole_from_where_its_upper_bound_rounds_to_ten(upper, said):
    assert f"(95% interval {said})" in sentence(healthy(0.02, upper))


@pytest.mark.parametrize(
    ("untrained", "said"),
    [
        (
            0.61,
            "Of the 76% that can be read after the vision tower, 61% can be read in an untrained "
            "network of the same architecture too: that much is not what the model knows.",
        ),
        (
            0.76,
            "An untrained network of the same architecture lets 76% be read after its vision tower "
            "where this one has 76%: nothing of that need be what the model knows.",
        ),
    ],
)
def test_what_an_untrained_network_reads_ends_every_verdict(untrained, said):
    for found in (
        failure("vision"),
        healthy(0.0, 0.05),
        Undetermined((), MARGIN, "no answers stored", answered=None, lost=None),
    ):
        assert sentence(replace(found, floor=Floor(0.76, untrained))) == f"{sentence(found)} {said}"


def test_every_verdict_says_how_many_samples_the_model_saw_in_training():
    for found in (
        failure("vision"),
        healthy(0.0, 0.05),
        Undetermined((), MARGIN, "no answers stored", answered=None, lost=None),
    ):
        said = sentence(replace(found, n_seen=1440))
        assert said.startswith(sentence(found))
        assert "1,440 samples are left out, since the model saw them" in said


def test_an_open_verdict_says_why():
    found = Undetermined((), MARGIN, "no answers stored", answered=None, lost=None)
    assert sentence(found) == "The verdict is open: no answers stored."


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (("vision", 3, "grid", "image", None, None), "llm at vision 3 (grid)"),
        (("answer", None, "generate", None, None, None), "llm by the generate answer"),
        (
            ("llm", 4, "reply", "reply", 357, 0),
            "llm at llm 4 (reply, the last token before the class is named)",
        ),
        (
            ("llm", 4, "reply", "reply", 357, 12),
            "llm at llm 4 (reply, the last token before the class is named; 12 of 357 test replies "
            "name none and are read at their end)",
        ),
    ],
)
def test_where_a_stage_was_read_is_said(place, said):
    assert str(ReadAt("llm", *place)) == said
