"""Findings: a stored verdict with the numbers behind it, one type per outcome."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from warehouse.vocabulary import ACCURACY, HEALTHY, REPLY_TOKEN, UNDETERMINED


@dataclass(frozen=True)
class ModeLoss:
    """One failure mode: what its stage loses of the score (a fraction), and how sure that is."""

    failure_mode: str
    stage: str
    loss: float | None
    lower: float | None
    upper: float | None
    is_present: bool
    is_primary: bool


@dataclass(frozen=True)
class PresentLoss(ModeLoss):
    """A failure mode that is present: its loss and its interval are known."""

    loss: float
    lower: float
    upper: float


@dataclass(frozen=True)
class DiagnosedAnswer:
    """Which of the model's answers is meant; `prompt_id` is None where nobody knows the prompt.

    `n_truncated` of the test samples' replies were cut.
    """

    method: str
    prompt_id: str | None
    n_test: int
    n_samples: int
    n_truncated: int

    def __str__(self) -> str:
        """'generate to the prompt default, 357 test samples', '… 200 of 357 …, 3 replies cut'."""
        prompt = f" to the prompt {self.prompt_id}" if self.prompt_id is not None else ""
        whole = "" if self.n_test == self.n_samples else f" of {self.n_samples:,}"
        cut = f", {self.n_truncated:,} replies cut" if self.n_truncated else ""
        return f"{self.method}{prompt}, {self.n_test:,}{whole} test samples{cut}"


@dataclass(frozen=True)
class ReadAt:
    """Where a stage's signal was read, or the answer that stands for it.

    Of a readout of replies `n_nameless` of `n_replies` test replies name no class, and were read at
    their last token.
    """

    stage: str
    module: str
    layer: int | None
    readout: str
    reads: str | None
    n_replies: int | None
    n_nameless: int | None

    def __str__(self) -> str:
        """'llm 4 (last)', 'llm 4 (reply, the last token before the class is named)'."""
        if self.layer is None:
            return f"{self.stage} by the {self.readout} answer"
        said = self.readout
        if self.reads == REPLY_TOKEN:
            said += ", the last token before the class is named"
            if self.n_nameless:
                said += (
                    f"; {self.n_nameless:,} of {self.n_replies:,} test replies name none and are "
                    "read at their end"
                )
        return f"{self.stage} at {self.module} {self.layer} ({said})"


@dataclass(frozen=True)
class Floor:
    """What the model's probes read after the vision tower, and those of an untrained network of the
    same architecture: fractions of the same test samples."""

    trained: float
    untrained: float


@dataclass(frozen=True)
class Finding:
    """What all outcomes have; accuracies are by the `score`, `reason` is a doubt or a note.

    `n_seen` samples are left out because the model was trained on them. Where
    `is_fitted_otherwise`, probes are fitted for another score; the weights of a model that
    `is_untrained` are random. `arguments` name the model and the dataset on the command line.
    """

    modes: tuple[ModeLoss, ...]
    margin: float
    reason: str | None
    answered: float | None
    lost: float | None
    floor: Floor | None = field(default=None, kw_only=True)
    n_seen: int = field(default=0, kw_only=True)
    is_fitted_otherwise: bool = field(default=False, kw_only=True)
    is_untrained: bool = field(default=False, kw_only=True)
    score: str = field(default=ACCURACY, kw_only=True)
    arguments: str = field(default="", kw_only=True)

    @property
    def verdict(self) -> str:
        """One of the failure modes, `healthy` or `undetermined`."""
        return UNDETERMINED


@dataclass(frozen=True)
class Undetermined(Finding):
    """Something is missing, or the intervals leave it open; `reason` says which."""

    reason: str


@dataclass(frozen=True)
class Healthy(Finding):
    """No stage loses a part that matters; the bounds are those of the whole loss."""

    answered: float
    lost: float
    lower: float
    upper: float

    @property
    def verdict(self) -> str:
        return HEALTHY


@dataclass(frozen=True)
class LossParts:
    """What the losses of llm and answer are made of; None where it was not measured."""

    comprehension_loss: float | None
    utilisation_loss: float | None
    unparsed_loss: float | None
    truncated_loss: float | None
    wrong_loss: float | None
    calibration_loss: float | None


@dataclass(frozen=True)
class Failure(Finding):
    """Some stage loses the class: `primary` is the largest loss, `also` are the other present ones.

    `baseline` is the best traditional classifier where it reads more than the probes do: then it is
    the reference.
    """

    answered: float
    lost: float
    reference: float
    baseline: str | None
    primary: PresentLoss
    also: tuple[PresentLoss, ...]
    parts: LossParts

    @property
    def verdict(self) -> str:
        return self.primary.failure_mode


def finding_of(rows: Sequence[Mapping[str, Any]]) -> Undetermined | Healthy | Failure:
    """From the rows of `queries/verdict.sql`."""
    first, answer = rows[0], rows[-1]
    modes = tuple(_loss(row) for row in rows)
    reference, answered = first["before"], answer["after"]
    lost = None if reference is None or answered is None else reference - answered
    common: dict[str, Any] = {
        "modes": modes,
        "margin": first["margin"],
        "reason": first["reason"],
        "answered": answered,
        "lost": lost,
        "floor": _floor(first),
        "n_seen": first["n_left_out"],
        "is_fitted_otherwise": bool(first["is_fitted_otherwise"]),
        "is_untrained": first["is_untrained"],
        "score": first["score"],
        "arguments": shlex.join(["--model", first["model_id"], "--dataset", first["dataset_id"]]),
    }
    if first["verdict"] == UNDETERMINED:
        return Undetermined(**common)
    if first["verdict"] == HEALTHY:
        # Nothing is healthy whose loss has no interval.
        return Healthy(**common, lower=first["total_loss_lower"], upper=first["total_loss_upper"])
    present = [mode for mode in modes if isinstance(mode, PresentLoss)]
    return Failure(
        **common,
        reference=reference,
        baseline=first["baseline"] if first["reference_source"] == "baseline" else None,
        primary=next(mode for mode in present if mode.is_primary),
        also=tuple(mode for mode in present if not mode.is_primary),
        parts=LossParts(**{name: _either(rows, name) for name in LossParts.__dataclass_fields__}),
    )


def _floor(row: Mapping[str, Any]) -> Floor | None:
    trained, untrained = row["vision_accuracy"], row["random_accuracy"]
    return None if trained is None or untrained is None else Floor(trained, untrained)


def _loss(row: Mapping[str, Any]) -> ModeLoss:
    kind = PresentLoss if row["is_present"] else ModeLoss
    return kind(**{name: row[name] for name in ModeLoss.__dataclass_fields__})


def _either(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """A part stands in the row of its own stage and is NULL in the others."""
    return next((row[name] for row in rows if row[name] is not None), None)
