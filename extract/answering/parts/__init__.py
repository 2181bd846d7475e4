"""The parts that Layerhouse brings, one to a file: a new one is a file and its line here.

In the order in which they are tried.
"""

from pathlib import Path

from extract.answering.part import AnswerPart, read_numbers
from extract.answering.parts.heads import Heads
from extract.answering.parts.prior import Prior
from extract.answering.parts.probe import Probe
from warehouse.errors import LayerhouseError, nearest

PARTS: tuple[type[AnswerPart], ...] = (Prior, Probe, Heads)


def read_part(path: Path) -> tuple[AnswerPart, list[str]]:
    """A saved part, and the phrases of its classes. LayerhouseError for a file that holds none."""
    title, classes, numbers = read_numbers(path)
    known = {part.title(): part for part in PARTS}
    if title not in known:
        raise LayerhouseError(f"{path} holds {title}, which is not known{nearest(title, known)}")
    kind = known[title]
    if set(kind.kept) != set(numbers) or len(numbers[kind.kept[0]]) != len(classes):
        raise LayerhouseError(f"{path} does not hold the numbers of {title} for its classes")
    return kind(numbers), classes
