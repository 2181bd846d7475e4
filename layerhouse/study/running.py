"""Running a study: each step that lacks, one process each; what fails stops only what needs it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from layerhouse.study.journal import StepRecord
from layerhouse.study.planning import ADD, StudyStep
from layerhouse.study.standing import AGAIN, Ground
from warehouse.errors import UsageError

GRACE = 10.0
"""Seconds in which a step that the keyboard stopped must have ended."""


class StepOutcome(Enum):
    """What became of a step."""

    THERE = "there already"
    DONE = "done"
    FAILED = "failed"
    WAITS = "not run"


@dataclass(frozen=True)
class Came:
    """A step and what became of it; `why` where it failed or could not be run."""

    step: StudyStep
    outcome: StepOutcome
    why: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Share:
    """Which share of a study one of several processes takes: the `number`-th of `of`, from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Share:
        """`2/8`. Raises UsageError for what is none."""
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise UsageError(f"a share is written as 2/8, the second of eight, not {text!r}")
        return cls(int(number), int(of))

    def of_steps(self, steps: Sequence[StudyStep]) -> list[StudyStep]:
        """The steps of every `of`-th cell and baseline, with what they need.

        What looks at several cells at once is left to a run of the whole, when all shares are done.
        """
        shared_out = [step for step in steps if step.kind not in (*AGAIN, ADD)]
        units = list(dict.fromkeys(map(_unit, shared_out)))[self.number - 1 :: self.of]
        taken = [step for step in shared_out if _unit(step) in units]
        needed = {name for step in taken for name in step.needs}
        return [step for step in steps if step in taken or step.name in needed]


def _unit(step: StudyStep) -> str:
    """What is shared out whole: a cell, or a step that is of none."""
    return step.name if step.cell is None else str(step.cell)


def run(
    ground: Ground,
    steps: Sequence[StudyStep],
    on_step: Callable[[int, StudyStep, Came | None], None],
) -> list[Came]:
    """Run what lacks of these steps, in order; `on_step` is told before (None) and behind each.

    What was done before is not done again; a step whose needs failed waits.
    """
    ground.journal.open()
    standing, came, sound = ground.refresh(), [], dict[str, bool]()
    said = {step.name: str(step) for step in steps}
    for number, step in enumerate(steps):
        on_step(number, step, None)
        lacking = [name for name in step.needs if not sound.get(name, True)]
        if lacking:
            one = Came(step, StepOutcome.WAITS, f"{said[lacking[0]]} has to go well first")
        elif standing.is_done(step):
            one = Came(step, StepOutcome.THERE)
        else:
            one = _run(ground, step)
            standing = ground.refresh()
        sound[step.name] = one.outcome in (StepOutcome.THERE, StepOutcome.DONE)
        came.append(one)
        on_step(number, step, one)
    return came


def _run(ground: Ground, step: StudyStep) -> Came:
    """One step as a process of its own: what it takes is free behind it, however it ends."""
    arguments, log = ground.arguments(step), ground.journal.log(step.name)
    started = time.monotonic()
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "layerhouse", *arguments],
            cwd=ground.study.folder,
            env=_environment(ground),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        code = _ended(process)
    seconds = time.monotonic() - started
    entry = StepRecord(
        arguments, str(ground.lake), code, _last_line(ground, step), round(seconds, 1)
    )
    ground.journal.write(step.name, entry)
    why = "" if code == 0 else entry.said or f"ended with exit code {code}"
    return Came(step, StepOutcome.DONE if code == 0 else StepOutcome.FAILED, why, seconds)


def _ended(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a step. Ctrl-C reaches it too, and it ends what it started itself."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        raise
    finally:
        process.kill()
        process.wait()


def _environment(ground: Ground) -> Mapping[str, str]:
    return os.environ | {"LAYERHOUSE_LAKE": str(ground.lake)}


def _last_line(ground: Ground, step: StudyStep) -> str:
    text = ground.journal.log(step.name).read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else ""
