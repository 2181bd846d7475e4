"""What sets the phrases of classes apart, and what they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from warehouse.errors import LayerhouseError


def telling_tokens(phrases: Sequence[Sequence[int]]) -> list[int]:
    """For every phrase the token that sets it apart: the end of its shortest unique beginning."""
    found = []
    for phrase in phrases:
        others = [other for other in phrases if list(other) != list(phrase)]
        for length in range(1, len(phrase) + 1):
            start = list(phrase[:length])
            if not any(list(other[:length]) == start for other in others):
                break
        found.append(phrase[length - 1])
    return found


@dataclass(frozen=True)
class PhraseTree:
    """Phrases as one tree, in which what several begin with stands once.

    A node is a beginning of a phrase that goes on: what the model has to read before it can say how
    likely the next token is.
    """

    phrases: tuple[tuple[int, ...], ...]

    @cached_property
    def nodes(self) -> dict[tuple[int, ...], int]:
        """The number of every beginning, parents before their children."""
        beginnings = (phrase[:n] for phrase in self.phrases for n in range(1, len(phrase)))
        return {beginning: number for number, beginning in enumerate(dict.fromkeys(beginnings))}

    def ways(self) -> list[list[int]]:
        """For every node the nodes on the way from the prompt to it, itself the last."""
        return [self.way(beginning) for beginning in self.nodes]

    def way(self, beginning: tuple[int, ...]) -> list[int]:
        return [self.nodes[beginning[:n]] for n in range(1, len(beginning) + 1)]

    def places(self) -> list[tuple[int, int]]:
        """For every node a phrase that passes it, and which of its tokens the node is."""
        found = {
            phrase[:n]: (number, n - 1)
            for number, phrase in enumerate(self.phrases)
            for n in range(1, len(phrase))
        }
        return [found[beginning] for beginning in self.nodes]


def ended(phrases: Sequence[Sequence[int]], end: int | None) -> list[list[int]]:
    """Phrases with the token that ends a reply, where the model has one."""
    return [[*phrase] if end is None else [*phrase, end] for phrase in phrases]


def told_apart(
    tokenizer: Any, names: Sequence[str], phrases: Sequence[Sequence[int]], *, ends: bool
) -> list[str]:
    """Lines on class names that this tokenizer hardly tells apart; `ends`: whether scores count the
    end of a reply. `phrases` are the names' tokens.

    Raises LayerhouseError for two names of equal tokens.
    """
    known: dict[tuple[int, ...], str] = {}
    for name, phrase in zip(names, phrases, strict=True):
        other = known.setdefault(tuple(phrase), name)
        if other != name:
            written = " ".join(tokenizer.convert_ids_to_tokens(list(phrase)))
            raise LayerhouseError(
                f"the class names {other!r} and {name!r} are the same tokens to this model "
                f"({written}), so no answer can tell them apart; add the dataset under another "
                "name with another --phrase for one of them"
            )
    lines = []
    if begun := _begun(known):
        why = (
            "the end of a reply counts, so each can win"
            if ends
            else ("scores count no end of a reply here, so by likelihood the longer can never win")
        )
        lines.append(f"class names that begin alike: {', '.join(begun)}; {why}")
    unknown = tokenizer.unk_token_id
    strange = [repr(name) for phrase, name in known.items() if unknown in phrase]
    if unknown is not None and strange:
        lines.append(
            f"the tokenizer does not know all of {', '.join(strange)}: the model cannot write what "
            f"it reads as {tokenizer.unk_token}, so its answers say little about these classes"
        )
    return lines


def _begun(known: Mapping[tuple[int, ...], str]) -> list[str]:
    found = (
        (name, known[phrase[:n]])
        for phrase, name in known.items()
        for n in range(1, len(phrase))
        if phrase[:n] in known
    )
    return [f"{name!r} begins with the tokens of {first!r}" for name, first in found]
