"""The verdict told in order: answer, information, use, cure, advice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from analysis.diagnosis.claiming import UNREAD, Kind, advised_in, cure_of, unmeasured, use_of
from analysis.diagnosis.findings import Failure, Finding
from analysis.diagnosis.marks import Marks
from analysis.diagnosis.numbers import points, within
from analysis.diagnosis.wording import IS_FLOOR, overall, remedy

NOTHING_LOST = "No stage is known to lose a part that matters, so there is nothing to {}."


@dataclass(frozen=True)
class Chapter:
    """One part of the story, and what is known of it; commands stand in backticks."""

    title: str
    sentences: tuple[str, ...]


def story(finding: Finding, marks: Marks) -> tuple[Chapter, ...]:
    """The five chapters from the answer to the advice, whatever of it was measured."""
    told = {
        "The answer": _answer(finding),
        "Where the class stops being readable (information: probes)": _information(finding),
        "What the answer is made from (use: patching)": _use(finding, marks),
        "What repairs bring (cure: mending)": _cure(finding, marks),
        "Advice": _advice(finding, marks),
    }
    return tuple(Chapter(title, tuple(sentences)) for title, sentences in told.items())


def _answer(finding: Finding) -> Iterator[str]:
    said = overall(finding)
    yield said if said is not None else "What the model answers is not known yet."


def _information(finding: Finding) -> Iterator[str]:
    if isinstance(finding, Failure):
        for mode in (finding.primary, *finding.also):
            yield f"{points(mode.loss)}{within(mode.lower, mode.upper)} {UNREAD[mode.stage]}."
    elif finding.reason is not None and finding.verdict != "healthy":
        yield f"The verdict is open: {finding.reason}."
    else:
        yield "No stage loses a part that matters."


def _use(finding: Finding, marks: Marks) -> Iterator[str]:
    """Of the stage that loses most, and of those where the answer comes back."""
    told = [
        mark
        for mark in sorted(marks.modes, key=lambda mark: not mark.is_primary)
        if mark.use_missing is None and (mark.is_primary or mark.is_caused)
    ]
    yield from (use for mark in told if (use := use_of(mark)) is not None)
    if not told:
        yield from _missing(finding, marks, Kind.USE, "confirm")


def _cure(finding: Finding, marks: Marks) -> Iterator[str]:
    told = [cure for mark in marks.modes if (cure := cure_of(mark)) is not None]
    yield from told
    yield from _missing(finding, marks, Kind.CURE, "mend", told=bool(told))


def _missing(
    finding: Finding, marks: Marks, kind: Kind, done: str, told: bool = False
) -> Iterator[str]:
    lines = [f"{line}." for line in unmeasured(marks, [kind])]
    yield from lines
    if not lines and not told and not isinstance(finding, Failure):
        yield NOTHING_LOST.format(done)


def _advice(finding: Finding, marks: Marks) -> Iterator[str]:
    advised = advised_in(marks)
    if finding.is_untrained:
        yield IS_FLOOR
    if advised is not None:
        yield advised.removeprefix("Advice: ")
    if isinstance(finding, Failure):
        if not marks.is_helped and not finding.is_untrained:
            yield f"{remedy(finding)}."
        if finding.reason is not None:
            yield f"Note: {finding.reason}."
    elif advised is None and not finding.is_untrained:
        yield "None." if finding.verdict == "healthy" else "None before the verdict is settled."
