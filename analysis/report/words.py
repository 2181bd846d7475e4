"""Names of the verdicts and formats of the numbers, for figures and template alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from analysis.metrics import exceeds
from warehouse.variants import FAULT, IMAGE_FAULTS, taken_apart
from warehouse.vocabulary import ACCURACY, HEALTHY, MARGIN, STAGE_OF, UNDETERMINED

if TYPE_CHECKING:
    from analysis.diagnosis import FamilyLoss


STAGE_NAMES = {
    "vision": "vision tower",
    "connector": "connector",
    "llm": "language model",
    "answer": "answer",
}


@dataclass(frozen=True)
class VerdictWords:
    """How a verdict is shown: its name and the role of its colour."""

    title: str
    role: str


VERDICTS = {
    **{
        mode: VerdictWords(mode.replace("_", " ").replace("llm", "LLM"), role=stage)
        for mode, stage in STAGE_OF.items()
    },
    HEALTHY: VerdictWords(HEALTHY, "good"),
    UNDETERMINED: VerdictWords(UNDETERMINED, "muted"),
}

MISSING = "–"
WHAT_TO_RUN = "`layerhouse status` says what to run"


def image_faults(model_id: str) -> str:
    """What was done to images before this model was shown them, '' for nothing: pictures are drawn
    as they lie in the dataset."""
    _, changes = taken_apart(model_id)
    faults = (value for kind, value in changes if kind == FAULT)
    return " and ".join(fault for fault in faults if fault.partition("@")[0] in IMAGE_FAULTS)


def measured(score: str) -> str:
    """The name of a dataset's score: 'accuracy', 'balanced accuracy'."""
    return score.replace("_", " ")


def axis_of(score: str, done: str = "classified") -> str:
    """What an axis of shares of the test images shows by this score."""
    if score == ACCURACY:
        return f"test images {done} right (%)"
    return f"{measured(score)} on test (%)"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as percent: '96.3%', '−0.8%'."""
    return MISSING if share is None else f"{100 * share:.{digits}f}%".replace("-", "−")


def points(share: float | None) -> str:
    """A share as percentage points without their unit: '30.1', '−0.4', and '0.0' without a sign."""
    if share is None:
        return MISSING
    text = f"{abs(100 * share):.1f}"
    return f"−{text}" if share < 0 and text != "0.0" else text


def loss(share: float | None) -> str:
    """A loss in percentage points: '−30.1', and '0.0' where nothing is lost."""
    return points(None if share is None else -share)


def score(value: float | None) -> str:
    """A health score: '0.93'."""
    return MISSING if value is None else f"{value:.2f}"


def bounds(lower: float | None, upper: float | None) -> str:
    """An interval in percentage points: '24.0 to 36.5', empty if there is none."""
    if lower is None or upper is None:
        return ""
    return f"{points(lower)} to {points(upper)}"


def loss_bounds(lower: float | None, upper: float | None) -> str:
    """The interval of a loss, with the sign of `loss`: '−36.5 to −24.0', empty if there is none."""
    return "" if lower is None or upper is None else bounds(-upper, -lower)


def moment(value: datetime | None) -> str:
    """A time of the lake, which is in UTC."""
    return MISSING if value is None else f"{value:%Y-%m-%d %H:%M:%S} UTC"


def seconds(value: float | None) -> str:
    return MISSING if value is None else f"{value:.1f} s"


def versions(value: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(value.items()))


def breakable(name: str) -> Markup:
    """An escaped model name that a line may break before each part of its variant."""
    return Markup(re.sub(r"([+@/])", r"<wbr>\1", str(escape(name))))


def shortened(text: str, room: int = 80) -> str:
    """The beginning of a reply, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= room else f"{line[: room - 1]}…"


def together(losses: Sequence[FamilyLoss]) -> str:
    """What holds of all losses of a board at once."""
    titles = {stage: VERDICTS[mode].title for mode, stage in STAGE_OF.items()}
    n_models = len({loss.model_id for loss in losses})
    named = ", ".join(
        f"{titles[one.stage]} of {one.model_id} ({points(one.loss)} points, at least "
        f"{points(one.lower)})"
        for one in sorted(losses, key=lambda one: -one.lower)
        if exceeds(one.lower, MARGIN)
    )
    return (
        f"A verdict is of its model alone, and of many some will be wrong. Of the {len(losses)} "
        f"losses of these {n_models} models together (95%, max-T) "
        + (f"these are there for certain: {named}." if named else "none is there for certain.")
    )


def coded(text: str) -> Markup:
    """Escaped text whose `backticked` commands are set as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))
