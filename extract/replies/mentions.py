"""Where a text names classes: names are found as whole words, the longest first."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from extract.replies.class_names import (
    HEAD,
    LETTER,
    TERSE,
    WORDED,
    ClassNames,
    finding,
    own_names,
    phrases_of,
)
from extract.replies.language import MARK, MENTION, WORD, language
from extract.replies.letters import lettered
from extract.replies.shared_words import shared_lasts, unshared_lasts
from extract.replies.spelling import folded, pattern

APART = "\n\0"
"""Ends a name among others; no pattern reaches beyond it."""


@dataclass(frozen=True)
class Mention:
    """A class named in a text: which, in what words, and by what kind of name."""

    index: int
    said: str
    kind: str


def alike(names: Sequence[str]) -> list[tuple[int, int]]:
    """The pairs (by place, in order) that cannot be told apart in a reply: each of the two names is
    read where the other stands.
    """
    texts = [folded(name) for name in names]
    ends = list(accumulate(len(text) + len(APART) for text in texts))
    joined = "".join(text + APART for text in texts)
    read = set()
    for reader, name in enumerate(names):
        for found in pattern(name).finditer(joined):
            place = bisect_right(ends, found.start())
            if found[0].strip() == texts[place].strip():
                read.add((reader, place))
    return sorted(pair for pair in read if pair[0] < pair[1] and pair[::-1] in read)


def mentions(
    text: str, classes: Sequence[ClassNames], *, letters: bool
) -> tuple[str, list[Mention]]:
    """A folded text whose mentions of classes are replaced by private characters, and the mentions.

    The n-th mention is `chr(MARK + n)`. Of overlapping mentions the longest counts, and among
    equals the one spelled as the class is.
    """
    text, kept = _replaced(text, _longest(_found(text, classes), len(text)), [])
    text = _without_options(text, kept, len(classes))
    if letters:
        spans = lettered(text, len(classes))
        found = [(*at, Mention(index, text[slice(*at)], LETTER)) for at, index in spans]
        text, kept = _replaced(text, found, kept)
    return text, kept


def mention_of(sign: str, named: Sequence[Mention]) -> Mention:
    """The mention that a private character stands for."""
    return named[ord(sign) - MARK]


def mentions_in(text: str, named: Sequence[Mention]) -> list[Mention]:
    """The mentions that stand in a part of such a text, in their order."""
    return [mention_of(sign, named) for sign in re.findall(MENTION, text)]


def _longest(
    found: Iterable[tuple[int, int, Mention, bool]], n: int
) -> list[tuple[int, int, Mention]]:
    """The spans that lie in no longer one of a text of `n` characters, in order."""
    holder: list[tuple[int, int, bool] | None] = [None] * n
    taken: list[tuple[int, int, Mention]] = []
    for start, end, mention, other in sorted(found, key=lambda f: (f[0] - f[1], f[3])):
        held = set(holder[start:end])
        if held == {None}:
            holder[start:end] = [(start, end, other)] * (end - start)
        elif held != {(start, end, other)} or (start, end, mention) in taken[-1:]:
            continue
        taken.append((start, end, mention))
    return sorted(taken, key=lambda f: f[:2])


def _without_options(text: str, named: list[Mention], n: int) -> str:
    """The text without options that it repeats: two or more of the `n` classes, each after its
    letter, or a list of all.
    """

    def every(found: re.Match[str]) -> bool:
        listed = {mention.index for mention in mentions_in(found[0], named)}
        return n == len(listed) < len(named)

    def cut(found: re.Match[str]) -> str:
        listed = [mention.index for mention in mentions_in(found[0], named)]
        return "\n" if len(set(listed)) == len(listed) else found[0]

    joint = r"[ ]*[,;.]?(?:\s+(?:or|and)(?=\s))?\s*"
    option = rf"(?:^|(?<=[\s,;:(]))\(?(?:[A-Z]|\d)[).:]+\s*{MENTION}{joint}"
    text = re.sub(rf"(?:{option}){{2,}}", cut, text)
    listed = rf"(?<!not )(?<!no )(?<!or )(?:{MENTION}, ?)*{MENTION},? (?:or|and|and/or) {MENTION}"
    return re.sub(listed, lambda found: cut(found) if every(found) else found[0], text)


def _replaced(
    text: str, taken: list[tuple[int, int, Mention]], kept: list[Mention]
) -> tuple[str, list[Mention]]:
    """The text with these spans replaced; two classes of one span stand side by side."""
    pieces, at = [], 0
    for start, end, mention in taken:
        pieces += [text[at:start], chr(MARK + len(kept))]
        kept.append(mention)
        at = max(at, end)
    return "".join([*pieces, text[at:]]), kept


def _found(text: str, classes: Sequence[ClassNames]) -> Iterator[tuple[int, int, Mention, bool]]:
    """Spans of all names in a text, and whether each is not spelled as the class is."""
    lowered = text.casefold()
    for index, name, kind, known, ways in finding(tuple(classes)):
        seldom = (way.pattern for way in ways if way.needle in lowered)
        for match in (match for way in (*known, *seldom) for match in way.finditer(text)):
            if kind == TERSE and not _speaks(text, match.start(), match.end()):
                continue
            said = match[0].strip(" '\"")
            if said:
                other = said.casefold() != folded(name).casefold()
                yield match.start(), match.end(), Mention(index, said, kind), other
    yield from _heads(text, classes)
    yield from _initials(text, classes)
    yield from _species(text, classes)
    yield from _last_words(text, classes)


def _initials(text: str, classes: Sequence[ClassNames]) -> Iterator[tuple[int, int, Mention, bool]]:
    """Where a name of several words stands as its initials, as BCC, that no other shares and that
    are no common abbreviation of something else."""
    known = language()["names"]["short"]
    phrases = [folded(names.phrase) for names in classes]
    initials = [
        known.get(phrase.casefold(), "".join(word[0] for word in phrase.split()).upper())
        for phrase in phrases
    ]
    if text.isupper() and len(text.split()) > 1:
        return
    bare = text.strip(" \n.").upper()
    for index, letters in enumerate(initials):
        if len(letters) > 1 and letters.isalpha() and initials.count(letters) == 1:
            if letters in language()["names"]["abbreviations"]:
                continue
            case = re.IGNORECASE if bare == letters else 0
            for match in re.finditer(rf"(?<![{WORD}]){letters}(?![{WORD}])", text, case):
                yield *match.span(), Mention(index, letters, WORDED), True


def _species(text: str, classes: Sequence[ClassNames]) -> Iterator[tuple[int, int, Mention, bool]]:
    """Where a name of two words stands with the first cut to its letter, as E. coli."""
    for index, found in _cut_species(tuple(folded(names.phrase) for names in classes)):
        for match in found.finditer(text):
            yield *match.span(), Mention(index, match[0], WORDED), True


@lru_cache(maxsize=64)
def _cut_species(phrases: tuple[str, ...]) -> tuple[tuple[int, re.Pattern[str]], ...]:
    """What finds each name of two words that no other is cut like, unless its letter is that of an
    option: "B. pneumonia" may be the second option, and not bacterial pneumonia."""
    words = [re.fullmatch(r"(?i)([a-z])[a-z]{3,} ([a-z]{3,})", phrase) for phrase in phrases]
    cut = [found and (found[1].upper(), found[2].casefold()) for found in words]
    counts = Counter(cut)
    return tuple(
        (index, re.compile(rf"(?<![{WORD}.]){one[0]}\.\s?(?i:{one[1]})(?![{WORD}])"))
        for index, one in enumerate(cut)
        if one and counts[one] == 1 and ord(one[0]) - ord("A") >= len(phrases)
    )


def _heads(text: str, classes: Sequence[ClassNames]) -> Iterator[tuple[int, int, Mention, bool]]:
    """Where a last word of several names that is no name itself is all that a denial names."""
    for denied, indices in shared_lasts(phrases_of(classes), own_names(classes)):
        for match in denied.finditer(text):
            for index in indices:
                yield *match.span(1), Mention(index, match[1], HEAD), True


def _last_words(
    text: str, classes: Sequence[ClassNames]
) -> Iterator[tuple[int, int, Mention, bool]]:
    """Where the last word of a name stands for it, "effusion" for "pleural effusion": after the
    whole name, or where the only other class is that there is none; never behind a word of another
    kind.
    """
    for index, whole, last, anywhere in unshared_lasts(phrases_of(classes)):
        named = None if anywhere else whole.search(text)
        begin = 0 if anywhere else named.end() if named else len(text)
        for found in last.finditer(text, begin):
            if re.search(language()["names"]["article"], text[: found.start()], re.IGNORECASE):
                yield *found.span(), Mention(index, found[0], WORDED), True


def _speaks(text: str, start: int, end: int) -> bool:
    """Whether a number or letter at this place names a class, and does not count something."""
    terse = language()["terse"]
    before, after = text[:start], text[end:]
    if not before.strip(" \n.,:;\"'([{$#") and not after.strip(" \n.,:;!\"')]}$"):
        return True
    other = rf"(?i)\b(?:{terse['others']})\s*(?:number|no\.|#)?\s*$"
    cues = rf"(?:(?:{terse['scales']})s?|{terse['cues']})['\"]*"
    scale = rf"{cues}(?:\s*(?:is|of|:|=|#|-|to be))*\s*['\"(]*(?:\d+\s*(?:or|to|-)\s*)?$"
    cued = re.search(rf"(?i)(?<![{WORD}])(?:{scale})", before)
    if cued and re.match(r"\s?/\s?\d+(?![\d/.])", after):  # of so many
        return True
    if re.match(terse["units"], after, re.IGNORECASE) or re.search(other, before):
        return False
    if cued:
        return True
    if not before.strip() and re.match(terse["gloss"], after) and not re.search(r"\n\s*\d", after):
        return True
    counted = rf"(?i)(?<![{WORD}])(?:(?:{terse['counting']})\s+\S+|{terse['pronoun']})$"
    if text[start:end].lower() in terse["words"] and not after.strip(" \n.!\"'"):
        return not re.search(counted, text[:end])
    weak = rf"(?i)(?:^|[^{WORD}])(?:{terse['weak']})\s*['\"(]*$"
    return bool(re.search(weak, before) and re.match(terse["follows"], after, re.IGNORECASE))
