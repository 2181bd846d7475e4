"""Letters and places that stand for the options of a question, and the letters of no option."""

import re
from collections.abc import Iterator
from functools import cache
from string import ascii_uppercase

from extract.replies.language import MENTION, WORD, language


def lettered(text: str, n: int) -> Iterator[tuple[tuple[int, int], int]]:
    """The letters of `n` options in a folded text whose class names are taken out: span and index.

    "A" as an article, the B of "hepatitis B" and of "B-lines" are none.
    """
    allowed = ascii_uppercase[:n]
    bare = text.strip(" \n.!():[]{}$'\"")
    if len(bare) == 1 and bare.upper() in allowed:
        at = text.index(bare)
        yield (at, at + 1), allowed.index(bare.upper())
        return
    yield from _placed(text, n)
    for match in _pattern(allowed).finditer(text):
        group = next(i for i, letter in enumerate(match.groups(), 1) if letter)
        end = match.end()
        if match[0].endswith((".", ":")) and not re.match(rf"\s*{MENTION}", text[end:]):
            end -= 1  # it ends the sentence, or the letter is judged
        yield (match.start(group), end), allowed.index(match[group].upper())


def _placed(text: str, n: int) -> Iterator[tuple[tuple[int, int], int]]:
    """Where "the second option" means one of the question: not among two that the text names."""
    known = language()["ordinals"]
    if len(re.findall(MENTION, text)) > 1:
        return
    words = known["words"]
    for match in re.finditer(rf"(?i)\bthe ({'|'.join(words)}|last) (?:{known['of']})\b", text):
        said = match[1].lower()
        place = n - 1 if said == "last" else words.index(said)
        if place < n:
            yield match.span(), place


@cache
def _pattern(allowed: str) -> re.Pattern[str]:
    """Every way of writing an option's letter; each has one group, the letter."""
    known, one = language()["letters"], f"([{allowed}])"
    whole = f"{one}(?![{WORD}'-])"
    # A letter right before a class' name; "A benign …" is no option.
    named = rf"(?<!A)(?=[ \t]*{MENTION})"
    quoted = r"[\s:='\"(\[-]"
    begins = rf"(?:(?<![{WORD}])(?:{known['cues']})|[:=：]){quoted}*"
    cue = rf"(?i:{begins}(?:{known['adverbs']}{quoted}+)*)"
    small = f"([{allowed.lower()}])"
    closed = r"(?=\s*(?:$|[.),;\n]|'(?![a-z])))"
    judged = f"(?= {known['judged']})"
    ways = [
        rf"\({one}\)",
        rf"(?:^|(?<=\n))[ \t'\"(]*{one}(?:[.):]+(?!\w)|(?={known['alone']})|{named})",
        rf"{cue}{whole}(?:[):]+|(?={known['follows']})|(?=\.[ ]*{MENTION})|{named})",
        rf"(?i:\b(?:answer|ans|option|choice|pick|choose|select)(?: is)?:?\s+)['(]*{small}{closed}",
        rf"(?i:\b(?:{known['leaning']})\s+){one}(?={known['follows']})",
        rf"(?<=[\s,;(]){one}[):](?!\w)",
        rf"\b[Oo]ption {one}\b",
        rf"(?<![{WORD}'-]){one} (?:option|choice)\b",
        rf"(?<=[A-Z][/&])(?<!\bN/)(?<!\bH&){whole}",
        rf"(?:(?<=\b[A-Z] and )|(?<=\b[A-Z] or )){whole}",
        rf"(?<=[A-Z], ){one}(?=\s*(?:$|[.,\n]))",
        rf"(?<![{WORD}'-]){one}{judged}",
        rf"(?<![{WORD}]){one}(?=\s*(?:or|and|/|,|vs\.?)\s*[{allowed}](?![{WORD}]))",
    ]
    return re.compile("|".join(ways))
