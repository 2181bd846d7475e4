"""How many replies of the corpus in bench/replies are read right, overall and per kind.

    python -m bench.bench_replies

Every file of it was written before its replies were first read; how many were right then stands in
it as `first_right`. The reader was mended after each.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.replies import ClassNames, Reading, read_reply

FOLDER = Path(__file__).parent / "replies"
SETS = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
"""The rounds, in order."""
NO_ANSWER = ""
CUT = "cut"
"""The kind of replies that their budget of new tokens ended."""


@dataclass(frozen=True)
class Example:
    """One reply with the class that it names, `NO_ANSWER` for none."""

    kind: str
    classes: tuple[str, ...]
    reply: str
    right: str

    def read(self) -> Reading:
        names = [ClassNames(name, name) for name in self.classes]
        return read_reply(self.reply, names, letters=True, cut=self.kind == CUT)

    def named(self, reading: Reading) -> str:
        return NO_ANSWER if reading.index is None else self.classes[reading.index]


def corpus(name: str) -> Iterator[Example]:
    """The examples of one of `SETS`."""
    for group in _file(name)["set"]:
        for kind, reply, right in group["replies"]:
            yield Example(kind, tuple(group["classes"]), reply, right)


def _file(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def main() -> None:
    everything = [(example, example.read()) for name in SETS for example in corpus(name)]
    for name in SETS:
        first, n = _file(name).get("first_read", (0, 0))
        before = f"; {first} of {n} ({first / n:.1%}) when they were first read" if n else ""
        print(f"{name}: {_score([(e, e.read()) for e in corpus(name)])}{before}")
    print(f"all: {_score(everything)}")
    for kind in sorted({example.kind for example, _ in everything}):
        print(f"  {kind:16} {_score([row for row in everything if row[0].kind == kind])}")
    for example, reading in everything:
        if example.named(reading) != example.right:
            print(f"  {example.reply!r} is {example.right!r}, read as {example.named(reading)!r}")


def _score(read: Sequence[tuple[Example, Reading]]) -> str:
    right = sum(example.named(reading) == example.right for example, reading in read)
    none = [reading for example, reading in read if example.right == NO_ANSWER]
    invented = sum(reading.index is not None for reading in none)
    told = f"{right} of {len(read)} right ({right / len(read):.1%})"
    return f"{told}, {invented} of {len(none)} without an answer given one"


if __name__ == "__main__":
    main()
