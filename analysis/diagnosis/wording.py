"""The verdict in words a clinician-researcher can act on."""

from __future__ import annotations

from analysis.diagnosis.claiming import advised_in, claimed, use_of
from analysis.diagnosis.findings import (
    Failure,
    Finding,
    Floor,
    Healthy,
    LossParts,
    PresentLoss,
)
from analysis.diagnosis.marks import Marks
from analysis.diagnosis.numbers import number, percent, points, within
from warehouse.vocabulary import ACCURACY, ANSWER, CONNECTOR, LLM, VISION

NOTHING = Marks()

IS_FLOOR = (
    "Its weights are random: it knows nothing, and what can be read in it is the floor, which its "
    "architecture alone gives away; there is nothing to repair."
)


def sentence(finding: Finding, marks: Marks = NOTHING) -> str:
    """Two to six sentences: what is lost where, how sure, what patching says, what mends it, and
    how much of it an untrained network reads (or that this is one), how many samples were left out
    and whether probes are fitted for another score, where there is such. The words go no further
    than the evidence, by default that of probes alone."""
    if isinstance(finding, Healthy):
        said = _healthy(finding)
    elif isinstance(finding, Failure):
        said = _failure(finding, marks)
    else:
        said = f"The verdict is open: {finding.reason}."
    if finding.is_untrained:
        said += f" {IS_FLOOR}"
    elif finding.floor is not None:
        said += f" {_floor(finding.floor)}"
    if finding.n_seen:
        said += (
            f" {finding.n_seen:,} samples are left out, since the model saw them or others of "
            "their groups in training."
        )
    if finding.is_fitted_otherwise:
        said += (
            f" The probes were fitted for another score than {finding.score.replace('_', ' ')} and "
            f"may read too little: `layerhouse probe {finding.arguments}` fits them for it."
        )
    return said


def _floor(floor: Floor) -> str:
    """What an untrained network already gives is not what the model knows."""
    read, untrained = percent(floor.trained), percent(floor.untrained)
    if floor.untrained >= floor.trained:
        return (
            f"An untrained network of the same architecture lets {untrained} be read after its "
            f"vision tower where this one has {read}: nothing of that need be what the model knows."
        )
    return (
        f"Of the {read} that can be read after the vision tower, {untrained} can be read in an "
        "untrained network of the same architecture too: that much is not what the model knows."
    )


def _failure(finding: Failure, marks: Marks) -> str:
    listed = "".join(
        f", and {_interval(mode)} {claimed(mode.stage, marks.of(mode.stage))}"
        for mode in finding.also
    )
    stage = finding.primary.stage
    mark, advised = marks.of(stage), advised_in(marks)
    said = [overall(finding) or "", f"{_share(finding)} {claimed(stage, mark)}{listed}."]
    said += [use_of(mark) or ""] if mark is not None else []
    said += [advised or ""]
    if not marks.is_helped and not finding.is_untrained:
        said += [f"{remedy(finding)}."]
    return " ".join(part for part in said if part)


def _interval(mode: PresentLoss) -> str:
    """'29 points (95% interval 22 to 36)'."""
    return f"{points(mode.loss)}{within(mode.lower, mode.upper)}"


def overall(finding: Finding) -> str | None:
    """What the model answers, and what could be read; None where it has not answered."""
    if finding.answered is None:
        return None
    if not isinstance(finding, Failure):
        return f"{_answered(finding.answered, finding.score)}."
    source = (
        f"a traditional classifier ({finding.baseline}) reads"
        if finding.baseline is not None
        else "its probes read"
    )
    return (
        f"{_answered(finding.answered, finding.score)} where {source} {percent(finding.reference)}."
    )


def _answered(share: float, score: str) -> str:
    """What the model itself scores on test, as the beginning of a sentence."""
    if score == ACCURACY:
        return f"The model answers {percent(share)} of the test images right"
    return f"The model answers {percent(share)} of the average class right (balanced accuracy)"


def _share(finding: Failure) -> str:
    """'Of the 31 missing points, 29 (95% interval 22 to 36)', or 'All of the 29 missing …'."""
    mode = finding.primary
    whole, part = number(finding.lost), number(mode.loss)
    if part == whole:
        return f"All of the {whole} missing points{within(mode.lower, mode.upper)}"
    return f"Of the {whole} missing points, {part}{within(mode.lower, mode.upper)}"


def _healthy(finding: Healthy) -> str:
    return (
        f"{_answered(finding.answered, finding.score)}, "
        f"{points(finding.lost)}{within(finding.lower, finding.upper)} "
        "below the best that any probe or baseline reads: no stage loses a part that matters, and "
        "there is nothing to repair inside the model."
    )


def remedy(finding: Failure) -> str:
    """What usually helps where a stage loses the class, before any repair was tried."""
    stage, parts = finding.primary.stage, finding.parts
    if stage == LLM:
        return _llm_remedy(parts)
    if stage == ANSWER:
        return _answer_remedy(parts)
    return {
        VISION: (
            "No later stage can bring them back: fine-tune or exchange the vision tower, or feed "
            "it a higher resolution"
        ),
        CONNECTOR: "Retrain or widen the connector; the vision tower before it is good enough",
    }[stage]


def _llm_remedy(parts: LossParts) -> str:
    held, used = parts.comprehension_loss, parts.utilisation_loss
    if held is None or used is None:
        return "Fine-tune the language model's layers, for instance with LoRA"
    if used >= held:
        return (
            "The image tokens still hold the class at the last layer, the final token does not "
            "collect it: fine-tune the language model's attention (LoRA) or try another prompt"
        )
    return (
        "The image tokens themselves lose it on the way through the layers: fine-tune the language "
        "model on such images (LoRA)"
    )


def _answer_remedy(parts: LossParts) -> str:
    unparsed, wrong = parts.unparsed_loss, parts.wrong_loss
    if (parts.truncated_loss or 0) > max(unparsed or 0, wrong or 0):
        return "Most of it are replies that were cut: allow longer ones with --max-new-tokens"
    if unparsed is not None and wrong is not None and unparsed > wrong:
        return (
            "Most of it are replies that name no class: constrain the reply to the class names, or "
            "read the label likelihoods instead"
        )
    won = parts.calibration_loss
    if won is not None and won >= 0.01:
        return (
            f"The class is known but mapped to the wrong words: calibrating the label likelihoods "
            f"wins back {points(won)}, rewording the labels or training the output head the rest"
        )
    if won is not None:
        return (
            "The class is known but mapped to the wrong words, and calibrating the label "
            "likelihoods wins nothing back: reword the labels or train the output head"
        )
    return (
        "The class is known but mapped to the wrong words: calibrate the label likelihoods, reword "
        "the labels, or train the output head"
    )
