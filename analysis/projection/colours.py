"""What the samples of a plane are coloured by: their class, the answer, or an attribute."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from analysis.queries import read_query
from warehouse.catalogue import Warehouse
from warehouse.errors import UsageError, nearest

QUERIES = Path(__file__).parent / "queries"

CLASS, ANSWER = COLOURS = ("class", "answer")
ATTRIBUTE = "attribute:"
"""Before the name of an attribute that is called as one of the others."""
FEW = 10
"""Values that are told apart one by one; more numbers than these become ranges."""
RANGES = 5


@dataclass(frozen=True)
class Values:
    """A value per sample, by `name`; who has none is absent. `order`: all values as a legend lists
    them; `nameless` says what it is to have none."""

    name: str
    of: Mapping[str, str]
    order: tuple[str, ...]
    nameless: str

    @property
    def column(self) -> str:
        """The name of their column in a frame."""
        return f"{ATTRIBUTE}{self.name}" if self.name not in COLOURS else self.name


def read_values(wh: Warehouse, model_id: str, dataset_id: str, colour: str) -> Values:
    """The classes, the answers that the diagnosis is about, or the values of an attribute.

    An attribute of more than FEW numbers is told in RANGES of as many samples each. Raises
    UsageError for a colour that is none.
    """
    names = {"model": model_id, "dataset": dataset_id}
    if colour == CLASS:
        rows = wh.sql(read_query(QUERIES, "classes"), {"dataset": dataset_id}).fetchall()
        return _labelled("class", rows, "no label")
    if colour == ANSWER:
        rows = wh.sql(read_query(QUERIES, "answers"), names).fetchall()
        return _labelled("answer", rows, "no class named")
    attribute = colour.removeprefix(ATTRIBUTE)
    asked = {"dataset": dataset_id, "attribute": attribute}
    held = dict(wh.sql(read_query(QUERIES, "attribute"), asked).fetchall())
    if not held:
        raise UsageError(f"there is no colour {colour!r}{nearest(attribute, _known(wh, names))}")
    return _attribute(attribute, held)


def _known(wh: Warehouse, names: Mapping[str, str]) -> list[str]:
    query = "SELECT DISTINCT name FROM sample_attribute WHERE dataset_id = $1"
    return [*COLOURS, *(name for (name,) in wh.sql(query, [names["dataset"]]).fetchall())]


def _labelled(name: str, rows: list[tuple[str, str | None, int | None]], nameless: str) -> Values:
    of = {sample: label for sample, label, _ in rows if label is not None}
    places = {label: index for _, label, index in rows if label is not None and index is not None}
    return Values(name, of, tuple(sorted(places, key=lambda label: places[label])), nameless)


def _attribute(name: str, held: Mapping[str, str]) -> Values:
    distinct = sorted(set(held.values()))
    numbers = {value: number for value in distinct if (number := _number(value)) is not None}
    if len(numbers) == len(distinct):
        distinct.sort(key=lambda value: numbers[value])
        if len(set(numbers.values())) > FEW:
            return _ranged(name, held, numbers)
    return Values(name, held, tuple(distinct), f"no {name}")


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _ranged(name: str, held: Mapping[str, str], numbers: Mapping[str, float]) -> Values:
    """Ranges of about as many samples each; equal numbers are in one."""
    ordered = sorted(numbers[value] for value in held.values())
    ends = [ordered[len(ordered) * part // RANGES - 1] for part in range(1, RANGES + 1)]
    ends = sorted(set(ends))
    of = {
        sample: next(place for place, end in enumerate(ends) if numbers[value] <= end)
        for sample, value in held.items()
    }
    words = []
    for place in range(len(ends)):
        inside = [numbers[value] for sample, value in held.items() if of[sample] == place]
        low, high = min(inside), max(inside)
        words.append(f"{low:g}" if low == high else f"{low:g} to {high:g}")
    named = {sample: words[place] for sample, place in of.items()}
    return Values(name, named, tuple(dict.fromkeys(words)), f"no {name}")
