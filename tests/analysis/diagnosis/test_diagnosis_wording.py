"""What the verdict says in words."""

from dataclasses import replace

import pytest

from analysis.diagnosis.claiming import cure_of, unmeasured
from analysis.diagnosis.findings import (
    Failure,
    Floor,
    Healthy,
    LossParts,
    PresentLoss,
    ReadAt,
    Undetermined,
)
from analysis.diagnosis.marks import Mark, Marks
from analysis.diagnosis.numbers import points
from analysis.diagnosis.repairs import Recovery
from analysis.diagnosis.telling import story
from analysis.diagnosis.wording import sentence
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
        "missing points, 25 (95% interval 20 to 30) are no longer readable behind the connector, "
        "between the vision tower and the language model, and 10 points (95% interval 5 to 15) are "
        "readable but not said at the last token. Retrain or widen the connector; the vision tower "
        "before it is good enough."
    )


UNTRAINED_FINDINGS = {
    "fails": failure("answer"),
    "loses nothing": healthy(-0.01, 0.03),
    "open": Undetermined((), MARGIN, "no probes", answered=0.1, lost=None),
}


@pytest.mark.parametrize("finding", UNTRAINED_FINDINGS.values(), ids=UNTRAINED_FINDINGS)
def test_an_untrained_model_is_a_floor_and_gets_no_advice(finding):
    finding = replace(finding, is_untrained=True, floor=Floor(trained=0.4, untrained=0.4))
    floor = (
        "Its weights are random: it knows nothing, and what can be read in it is the floor, which "
        "its architecture alone gives away; there is nothing to repair."
    )
    said = sentence(finding)
    assert said.endswith(floor)
    assert "train the output head" not in said
    assert "untrained network" not in said
    assert story(finding, Marks())[-1].sentences == (floor,)


def mark(stage="connector", **told):
    """Of a stage's loss that nothing but probes have looked at, but for what is `told`."""
    known = dict.fromkeys(Mark.__dataclass_fields__)
    known |= {"stage": stage, "failure_mode": FAILURE_MODES[stage], "is_present": True}
    known |= {"use_missing": "run `a`", "cure_missing": "run `b`", "claim": "no longer readable"}
    return Mark(**known | told)


def restored(share, is_caused, claim="caused in", stage="connector"):
    found = {"restored_share": share, "restored_lower": share - 0.05, "use_missing": None}
    found |= {"restored_upper": share + 0.05, "is_caused": is_caused, "claim": claim}
    return {"stage": stage, "donor_model_id": "tiny", **found}


REPAIRED = {"repair": "connector/finetune", "cure_missing": None, "is_mended": True}
REPAIRED |= {"recovered_share": 0.9, "recovered_lower": 0.8, "recovered_upper": 1.0}
REPAIRED |= {"repair_gain": 0.3}


def recovery(**told):
    known = dict.fromkeys(Recovery.__dataclass_fields__)
    known |= {"stage": "connector", "repair": "finetune", "n_parameters": 8256, "seconds": 12.4}
    known |= {"gain": 0.3, "gain_lower": 0.2, "gain_upper": 0.4, "total_share": 0.97}
    known |= {"total_share_lower": 0.91, "total_share_upper": 1.04, "is_advised": True}
    return Recovery(**known | told)


def told(stage="connector", repairs=(), **evidence):
    return sentence(failure(stage), Marks((mark(**{"stage": stage, **evidence}),), repairs))


def test_what_was_not_measured_changes_no_word_of_a_verdict():
    assert told() == sentence(failure("connector"))


@pytest.mark.parametrize(
    ("stage", "where", "back"),
    [
        ("vision", "the vision tower", "comes back with its states at the end of that stage"),
        ("answer", "the output head", "does not come back with any of its states"),
    ],
)
def test_a_loss_that_patching_confirms_is_caused_there(stage, where, back):
    said = told(**restored(0.94, True, stage=stage))
    assert f"are caused in {where}" in said
    found = f"Patching confirms that it is {where}: of what tiny answers better, 94% (95% interval "
    assert f"{found}89 to 99) {back}" in said


@pytest.mark.parametrize(
    ("is_caused", "judged"),
    [(False, "does not confirm that it is"), (None, "leaves open whether it is")],
)
def test_a_loss_that_patching_does_not_confirm_is_said_to_be_unreadable_alone(is_caused, judged):
    said = told(**restored(0.04, is_caused, "no longer readable"))
    assert "are no longer readable behind the connector" in said
    assert f"Patching {judged} the connector: of what tiny answers better, 4%" in said


def test_the_advice_is_the_cheapest_repair_and_what_it_costs_and_brings():
    said = told(repairs=(recovery(),), **REPAIRED, claim="mended by")
    assert (
        "between the vision tower and the language model, and mended by connector/finetune" in said
    )
    assert said.endswith(
        "Advice: connector/finetune (8,256 trained parameters, 12 s), the cheapest repair that "
        "suffices: it brings back 97% (95% interval 91 to 104) of the loss."
    )
    assert "Retrain" not in said


def test_a_loss_with_both_is_caused_there_and_mended():
    said = told(**{**restored(0.94, True), **REPAIRED, "claim": "caused in and mended by"})
    assert "are caused in the connector and mended by connector/finetune" in said


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"is_calibration": True}, "of the loss; that is calibration, since"),
        ({"total_share": None}, "suffices: it gains 30 points (95% interval 20 to 40)"),
        (
            {"method_before": "generate", "method_after": "likelihood"},
            "by generate and those with it by likelihood, so what it gains is not its own alone",
        ),
    ],
)
def test_the_advice_says_what_a_gain_is_not(found, words):
    assert words in told(repairs=(recovery(**found),))


def test_a_repair_that_is_to_be_compared_anew_was_tried():
    found = {**REPAIRED, "tried": "connector/finetune"}
    marks = Marks((mark(**{**found, "cure_missing": "run `layerhouse compare …`"}),))
    assert marks.tried_in_vain
    assert not Marks((mark(),)).tried_in_vain


def test_repairs_that_do_not_help_leave_the_general_remark():
    said = told(cure_missing=None, tried="connector/finetune")
    tried = "No repair that was tried (connector/finetune) helps on val. Retrain or widen the"
    assert tried in said


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"gain": 0.0, "gain_lower": -0.02, "gain_upper": 0.02}, "(95% interval -2.0 to 2.0)"),
        ({"gain": -0.03, "gain_lower": None, "gain_upper": None}, "gains -3.0 points"),
        ({"gain": 0.004, "gain_lower": -0.002, "gain_upper": 0.01}, "gains 0.4 points"),
    ],
)
def test_a_repair_that_brings_nothing_back_for_certain_suffices_for_nothing(found, words):
    brought = {"total_share": found["gain"], "total_share_lower": None, "total_share_upper": None}
    said = told(repairs=(recovery(**found, **brought),), tried="connector/finetune")
    assert "Advice: no repair helps for certain; connector/finetune (8,256 trained" in said
    assert words in said
    assert "suffices" not in said
    assert "brings back" not in said
    assert said.endswith(
        "on test. Retrain or widen the connector; the vision tower before it is good enough."
    )


def test_a_repair_that_brings_a_part_back_is_not_said_to_suffice():
    said = told(repairs=(recovery(total_share=0.3),), **REPAIRED)
    assert "the cheapest as good as the best on val: it brings back 30%" in said
    few = {"total_share": 0.004, "gain": 0.003, "gain_lower": 0.001, "gain_upper": 0.005}
    said = told(repairs=(recovery(**few),), **REPAIRED)
    assert "as good as the best on val: it gains 0.3 points" in said


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, None),
        (
            {"tried": "connector/finetune"},
            "No repair of the connector that was tried (connector/finetune) helps on val.",
        ),
        (
            REPAIRED,
            "connector/finetune brings back 90% (95% interval 80 to 100) of the loss at the "
            "connector.",
        ),
        (
            {**REPAIRED, "recovered_lower": None, "is_calibration": True},
            "connector/finetune brings back 90% of the loss at the connector; that is calibration.",
        ),
        ({**REPAIRED, "recovered_share": None}, "connector/finetune gains 30 points."),
        (
            {**REPAIRED, "recovered_share": None, "cure_missing": "run `layerhouse compare …`"},
            "connector/finetune gains 30 points.",
        ),
    ],
)
def test_what_the_repairs_of_a_stage_bring_is_one_sentence(found, words):
    assert cure_of(mark(**found)) == words


def test_what_is_not_measured_is_told_once_with_its_command():
    marks = (
        mark(),
        mark("llm", tried="llm/heads", cure_missing="llm/lora is untried; run `c`"),
        mark("answer", is_present=False, cure_missing="run `d`"),
        mark("vision", is_present=False, is_caused=True, use_missing=None, cure_missing="run `e`"),
    )
    assert list(unmeasured(Marks(marks))) == [
        "Use (patching) of the connector and the language model is not measured with the states of "
        "a better variant: run `a`",
        "Cure (mending) of the connector is not measured: run `b`",
        "Cure (mending) of the language model is open: llm/lora is untried; run `c`",
        "Cure (mending) of the vision tower is not measured: run `e`",
    ]


def test_the_story_goes_from_the_answer_to_the_advice():
    found = failure("connector")
    patched = mark(**restored(0.7, True, None, "llm") | {"is_present": False})
    marks = Marks((mark(**REPAIRED, is_primary=True), patched), (recovery(),))
    steps = {step.title.partition(" (")[0]: step.sentences for step in story(found, marks)}
    assert list(steps) == [
        "The answer",
        "Where the class stops being readable",
        "What the answer is made from",
        "What repairs bring",
        "Advice",
    ]
    (answer,), (read,), (use,), cure, (advised,) = steps.values()
    assert answer == "The model answers 60% of the test images right where its probes read 95%."
    assert read.startswith("25 points (95% interval 20 to 30) are no longer readable behind the")
    assert use.startswith("Patching points to the language model: of what tiny answers better, 70%")
    assert [line.partition(" of ")[0] for line in cure] == [
        "connector/finetune brings back 90% (95% interval 80 to 100)",
        "Cure (mending)",
    ]
    assert advised.startswith("connector/finetune (8,256 trained parameters, 12 s), the cheapest")


def test_without_repairs_and_patches_the_story_says_what_would_measure_them():
    (*_, use, cure, advised) = story(failure("connector"), Marks((mark(),)))
    assert use.sentences == (
        "Use (patching) of the connector is not measured with the states of a better variant: run "
        "`a`.",
    )
    assert cure.sentences == ("Cure (mending) of the connector is not measured: run `b`.",)
    assert advised.sentences == (
        "Retrain or widen the connector; the vision tower before it is good enough.",
    )


def test_of_nothing_lost_there_is_nothing_to_confirm_or_mend():
    calm = Marks((mark(is_present=False),))
    said = [step.sentences for step in story(healthy(0.0, 0.03), calm)]
    assert said[1:] == [
        ("No stage loses a part that matters.",),
        ("No stage is known to lose a part that matters, so there is nothing to confirm.",),
        ("No stage is known to lose a part that matters, so there is nothing to mend.",),
        ("None.",),
    ]
    doubted = Undetermined((), MARGIN, reason="no answers stored", answered=None, lost=None)
    assert [step.sentences[0] for step in story(doubted, Marks())][:2] == [
        "What the model answers is not known yet.",
        "The verdict is open: no answers stored.",
    ]


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


def test_a_verdict_of_probes_for_another_score_says_what_fits_them():
    found = replace(healthy(0.0, 0.05), score="balanced_accuracy")
    said = sentence(replace(found, is_fitted_otherwise=True, arguments="--model m --dataset d"))
    assert said.startswith(sentence(found))
    assert "fitted for another score than balanced accuracy" in said
    assert "`layerhouse probe --model m --dataset d` fits them for it" in said


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
