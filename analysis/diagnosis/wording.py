"""The verdict in words a clinician-researcher can act on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from warehouse.vocabulary import HEALTHY


@dataclass(frozen=True)
class ModeLoss:
    """One failure mode: the accuracy its stage loses (a fraction), and how sure that is."""

    failure_mode: str
    stage: str
    loss: float | None
    lower: float | None
    upper: float | None
    is_present: bool
    is_primary: bool


@dataclass(frozen=True)
class Finding:
    """A stored verdict with the numbers behind it; all accuracies are fractions of test."""

    verdict: str
    reason: str | None
    margin: float
    modes: tuple[ModeLoss, ...]
    reference: float | None
    reference_source: str | None
    baseline: str | None
    answered: float | None
    total_lower: float | None
    total_upper: float | None
    comprehension_loss: float | None
    utilisation_loss: float | None
    unparsed_loss: float | None
    wrong_loss: float | None
    calibration_loss: float | None = None

    @classmethod
    def from_rows(
        cls, rows: Sequence[Mapping[str, Any]], total: tuple[float, float] | None
    ) -> Finding:
        """From the rows of `queries/verdict.sql` and the bounds of the total loss, if stored."""
        vision, _, llm, answer = rows
        return cls(
            verdict=vision["verdict"],
            reason=vision["reason"],
            margin=vision["margin"],
            modes=tuple(
                ModeLoss(**{name: row[name] for name in ModeLoss.__dataclass_fields__})
                for row in rows
            ),
            reference=vision["before"],
            reference_source=vision["reference_source"],
            baseline=vision["baseline"],
            answered=answer["after"],
            total_lower=total[0] if total else None,
            total_upper=total[1] if total else None,
            comprehension_loss=llm["comprehension_loss"],
            utilisation_loss=llm["utilisation_loss"],
            unparsed_loss=answer["unparsed_loss"],
            wrong_loss=answer["wrong_loss"],
            calibration_loss=answer["calibration_loss"],
        )

    @property
    def lost(self) -> float | None:
        """The whole degradation: reference - answer."""
        if self.reference is None or self.answered is None:
            return None
        return self.reference - self.answered

    @property
    def primary(self) -> ModeLoss | None:
        return next((mode for mode in self.modes if mode.is_primary), None)


def sentence(finding: Finding) -> str:
    """Two or three sentences: what is lost where, how sure, and what would mend it."""
    if finding.verdict == HEALTHY:
        return _healthy(finding)
    primary = finding.primary
    if primary is None:
        return f"The verdict is open: {finding.reason}."
    also = [mode for mode in finding.modes if mode.is_present and not mode.is_primary]
    listed = "".join(f", and {_interval(mode)} {WHERE[mode.stage]}" for mode in also)
    return (
        f"{_overall(finding)} {_share(finding)} {WHERE[primary.stage]}{listed}. "
        f"{_remedy(primary.stage, finding)}."
    )


WHERE = {
    "vision": "are gone when the image leaves the vision tower",
    "connector": "are lost in the connector, between the vision tower and the language model",
    "llm": "are lost inside the language model, before its last token",
    "answer": "still reach the last token but are not said",
}


def points(share: float) -> str:
    """A share of the samples in percentage points, e.g. '31 points' or '0.6 points'."""
    return f"{_number(share)} points"


def _number(share: float) -> str:
    value = 100 * share
    return f"{value:.0f}" if abs(value) >= 9.95 else f"{value:.1f}"


def percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _interval(mode: ModeLoss) -> str:
    """'29 points (95% interval 22 to 36)'; present modes have all three numbers."""
    assert mode.loss is not None
    assert mode.lower is not None
    assert mode.upper is not None
    return f"{points(mode.loss)} (95% interval {_range(mode.lower, mode.upper)})"


def _range(lower: float, upper: float) -> str:
    digits = 0 if upper >= 0.0995 else 1
    return f"{100 * lower:.{digits}f} to {100 * upper:.{digits}f}"


def _overall(finding: Finding) -> str:
    assert finding.reference is not None
    assert finding.answered is not None
    source = (
        f"a traditional classifier ({finding.baseline}) reads"
        if finding.reference_source == "baseline"
        else "its probes read"
    )
    return (
        f"The model answers {percent(finding.answered)} of the test images right where {source} "
        f"{percent(finding.reference)}."
    )


def _share(finding: Finding) -> str:
    """'Of the 31 missing points, 29 (95% interval 22 to 36)', or 'All of the 29 missing …'."""
    assert finding.lost is not None
    mode = finding.primary
    assert mode is not None
    assert mode.loss is not None
    assert mode.lower is not None
    assert mode.upper is not None
    whole, part = _number(finding.lost), _number(mode.loss)
    interval = f"(95% interval {_range(mode.lower, mode.upper)})"
    if part == whole:
        return f"All of the {whole} missing points {interval}"
    return f"Of the {whole} missing points, {part} {interval}"


def _healthy(finding: Finding) -> str:
    assert finding.answered is not None
    assert finding.lost is not None
    assert finding.total_lower is not None
    assert finding.total_upper is not None
    return (
        f"The model answers {percent(finding.answered)} of the test images right, "
        f"{points(finding.lost)} (95% interval {_range(finding.total_lower, finding.total_upper)}) "
        "below the best that any probe or baseline reads: no stage loses a part that matters, and "
        "there is nothing to repair inside the model."
    )


def _remedy(stage: str, finding: Finding) -> str:
    if stage == "llm":
        return _llm_remedy(finding)
    if stage == "answer":
        return _answer_remedy(finding)
    return {
        "vision": (
            "No later stage can bring them back: fine-tune or exchange the vision tower, or feed "
            "it a higher resolution"
        ),
        "connector": "Retrain or widen the connector; the vision tower before it is good enough",
    }[stage]


def _llm_remedy(finding: Finding) -> str:
    held, used = finding.comprehension_loss, finding.utilisation_loss
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


def _answer_remedy(finding: Finding) -> str:
    unparsed, wrong = finding.unparsed_loss, finding.wrong_loss
    if unparsed is not None and wrong is not None and unparsed > wrong:
        return (
            "Most of it are replies that name no class: constrain the reply to the class names, or "
            "read the label likelihoods instead"
        )
    won = finding.calibration_loss
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
