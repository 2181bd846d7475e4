"""What a person may say of pixels: which frame, what is black and white, what lies behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from warehouse.errors import UsageError
from warehouse.images import BACKGROUND, Preparation

EVERY, MIDDLE = "all", "middle"


@dataclass(frozen=True)
class PixelOptions:
    """How images become 8-bit RGB where that is not plain.

    `frame` is `middle`, `all` or a number from 1: which of several in one file. `shown` are the
    values that become black and white in images of more than 8 bits, and with `of_train` the
    percentiles of the values of train; without them the dataset chooses. `background` is what
    transparent parts lie on.
    """

    frame: str | None = None
    shown: tuple[float, float] | None = None
    of_train: bool = False
    background: str = BACKGROUND


def pixel_options(
    frame: str | int | None = None,
    shown: str | Sequence[float] | None = None,
    window: str | Sequence[float] | None = None,
    background: str | None = None,
) -> PixelOptions:
    """The options as they are typed: `3`, `0,4095` or `0.5%,99.5%`, `40,400`, `white`.

    UsageError for anything that cannot be meant.
    """
    if shown is not None and window is not None:
        raise UsageError("--range and --window say the same in two ways; give one of them")
    of_train = isinstance(shown, str) and "%" in shown
    limits = None
    if shown is not None:
        limits = _two(shown, "--range", "LOW,HIGH or LOW%,HIGH%")
        if limits[0] >= limits[1] or (of_train and not 0 <= limits[0] < limits[1] <= 100):
            raise UsageError(
                f"--range {_as_typed(shown)}: the first value must lie below the second"
            )
    if window is not None:
        center, width = _two(window, "--window", "CENTER,WIDTH")
        if width <= 0:
            raise UsageError(f"--window {_as_typed(window)}: the width must be positive")
        limits = center - width / 2, center + width / 2
    ground = (background or BACKGROUND).removeprefix("#").lower()
    _ = Preparation(background=ground).colour  # refuses what is no colour
    return PixelOptions(_frame(frame), limits, of_train, ground)


def _frame(typed: str | int | None) -> str | None:
    text = None if typed is None else str(typed)
    if text is None or text in (EVERY, MIDDLE) or (text.isdecimal() and int(text) > 0):
        return text
    raise UsageError(f"--frame {text!r} is no frame; give a number from 1, {MIDDLE} or {EVERY}")


def _two(typed: str | Sequence[float], option: str, form: str) -> tuple[float, float]:
    parts = typed.replace("%", "").split(",") if isinstance(typed, str) else typed
    try:
        first, second = (float(part) for part in parts)
    except ValueError:
        raise UsageError(f"{option} {_as_typed(typed)!r} is not of the form {form}") from None
    return first, second


def _as_typed(value: str | Sequence[float]) -> str:
    return value if isinstance(value, str) else ",".join(map(str, value))
