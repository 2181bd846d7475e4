"""Where a text names classes: spelling folded, names found as whole words, the longest first."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from extract.answering.language import MARK, MENTION, WORD, language
from extract.answering.letters import lettered

APART = "\n\0"
"""Ends a name among others; no pattern reaches beyond it."""
ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6}


@dataclass(frozen=True)
class ClassNames:
    """How a class may be called in a reply."""

    label: str
    phrase: str


@dataclass(frozen=True)
class Mention:
    """A class named in a text: which, in what words, and by what kind of name."""

    index: int
    said: str
    kind: str


WORDED, TERSE, LETTER = "name", "number", "letter"


def folded(text: str) -> str:
    """A text with one spelling for width, accents, dashes, quotes, denials and numerals of grades.

    Case stays, since a letter that is an answer is told from an article by it.
    """
    text = re.sub(MENTION, " ", text)
    text = unicodedata.normalize("NFKC", text.replace("½", " 1/2"))
    text = re.sub(
        "([A-Za-z\u0370-\u04ff])[\u0300-\u036f]+", r"\1", unicodedata.normalize("NFD", text)
    )
    text = unicodedata.normalize("NFC", text).replace("ß", "ss")
    text = re.sub("[\u2010-\u2015\u2212\ufe63]", "-", text)
    text = re.sub("[\u2018\u2019\u00b4`]", "'", text)
    text = re.sub(r"(?i)\bcan(?:not|'t)\b", "can not", text)
    text = re.sub(r"(?i)n't\b", " not", text)
    text = re.sub(r"(?i)\b(it|there|that|here|this|what)'s\b", r"\1 is", text)
    text = re.sub(language()["names"]["ranges"], " ", text, flags=re.IGNORECASE)
    between = language()["names"]["between"]
    text = re.sub(
        rf"(?i)\b({between['scales']})(?:\s*(?:{between['words']}))+\s*(?=\d)", r"\1 ", text
    )
    grade = r"([ivx]+|\d)([a-d]?)\b(?![.]\d)"
    scales = language()["terse"]["scales"]
    return re.sub(
        rf"(?i)\b({scales})(s?[ :-]+(?:(?:is|of|=) +)?){grade}(?:\s*(?:-|to|or|and)\s*{grade})?",
        _graded,
        text,
    )


def _graded(found: re.Match[str]) -> str:
    """A grade in digits, and both ends of a range as grades of their own."""
    scale, gap, first, part, second, other = found.groups()
    said = f"{scale}{gap}{ROMAN.get(first.lower(), first)}{part}"
    if second is None:
        return said
    return f"{said} or {scale} {ROMAN.get(second.lower(), second)}{other}"


def alike(names: Sequence[str]) -> list[tuple[int, int]]:
    """The pairs (by place, in order) that cannot be told apart in a reply: each of the two names is
    read where the other stands.
    """
    texts = [folded(name) for name in names]
    ends = list(accumulate(len(text) + len(APART) for text in texts))
    joined = "".join(text + APART for text in texts)
    read = set()
    for reader, name in enumerate(names):
        for found in _pattern(name).finditer(joined):
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
    text = _without_options(text, kept)
    if letters:
        spans = lettered(text, len(classes))
        found = [(*at, Mention(index, text[slice(*at)], LETTER)) for at, index in spans]
        text, kept = _replaced(text, found, kept)
    return text, kept


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


def _without_options(text: str, named: list[Mention]) -> str:
    """The text without options that it repeats: two or more classes, each after its letter."""

    def cut(found: re.Match[str]) -> str:
        listed = [named[ord(c) - MARK].index for c in found[0] if ord(c) >= MARK]
        return "\n" if len(set(listed)) == len(listed) else found[0]

    option = (
        rf"(?:^|(?<=[\s,;(]))\(?(?:[A-Z]|\d)[).:]+\s*{MENTION}[ ]*[,;.]?(?:\s+(?:or|and)(?=\s))?\s*"
    )
    return re.sub(rf"(?:{option}){{2,}}", cut, text)


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
    for index, names in enumerate(classes):
        for name in dict.fromkeys((names.phrase, names.label)):
            kind = TERSE if is_terse(name) else WORDED
            for match in (*_pattern(name).finditer(text), *_shortened(name, text, classes)):
                if kind == TERSE and not _speaks(text, match.start(), match.end()):
                    continue
                said = match[0].strip(" '\"")
                if said:
                    other = said.casefold() != folded(name).casefold()
                    yield match.start(), match.end(), Mention(index, said, kind), other


def _shortened(name: str, text: str, classes: Sequence[ClassNames]) -> Iterator[re.Match[str]]:
    """Where a name has words from another's: "viral" in "viral or bacterial pneumonia".

    Where names begin alike ("hepatitis B or C") both have one span, that of both.
    """
    words, joint = folded(name).split(), language()["names"]["shared"]
    for other in (folded(c.phrase).split() for c in classes):
        begin, end = _common(words, other), _common(words[::-1], other[::-1])
        if not begin + end or begin + end >= min(len(words), len(other)):
            continue
        for first, second in [(words, other), (other, words)] if begin else [(words, other)]:
            kept = " ".join(first[: len(first) - end])
            if not is_terse(kept):
                tail = rf"\s*(?:{joint})\s*{' '.join(map(re.escape, second[begin:]))}(?!\w)"
                found = _pattern(kept).pattern + (tail if begin else f"(?={tail})")
                yield from re.finditer(found, text, re.IGNORECASE)


def _common(first: list[str], second: list[str]) -> int:
    """How many words two names begin with alike."""
    alike = [a == b for a, b in zip(first, second, strict=False)]
    return (*alike, False).index(False)


def is_terse(name: str) -> bool:
    """Whether a name is a number, a numeral or a letter, which may stand for something else."""
    name = folded(name).strip().lower()
    short = re.fullmatch(r"\d+|[a-z]", name) or name in ROMAN
    return bool(short) or name in language()["terse"]["words"]


def _speaks(text: str, start: int, end: int) -> bool:
    """Whether a number or letter at this place names a class, and does not count something."""
    terse = language()["terse"]
    before, after = text[:start], text[end:]
    if not before.strip(" \n.,:;\"'([{$#") and not after.strip(" \n.,:;!\"')]}$"):
        return True
    other = rf"(?i)\b(?:{terse['others']})\s*(?:number|no\.|#)?\s*$"
    if re.match(terse["units"], after, re.IGNORECASE) or re.search(other, before):
        return False
    cues = rf"(?:(?:{terse['scales']})s?|{terse['cues']})['\"]*"
    scale = rf"{cues}(?:\s*(?:is|of|:|=|#|to be))*\s*['\"(]*$"
    if re.search(rf"(?i)(?<![{WORD}])(?:{scale})", before):
        return True
    if not before.strip() and re.match(terse["gloss"], after) and not re.search(r"\n\s*\d", after):
        return True
    counted = rf"(?i)(?<![{WORD}])(?:(?:{terse['counting']})\s+\S+|{terse['pronoun']})$"
    if text[start:end].lower() in terse["words"] and not after.strip(" \n.!\"'"):
        return not re.search(counted, text[:end])
    weak = rf"(?i)(?:^|[^{WORD}])(?:{terse['weak']})\s*['\"(]*$"
    return bool(re.search(weak, before) and re.match(terse["follows"], after, re.IGNORECASE))


@cache
def _pattern(name: str) -> re.Pattern[str]:
    """What finds a class' name in a folded text."""
    text = re.sub(r"(?i)([a-z])'s\b", r"\1", folded(name).replace("_", " ").strip())
    words = rf"\d+\.\d+|\d+|(?:(?!\d)[{WORD}])+|[<>]=?|\S"
    pattern, last = "", None
    for found in re.finditer(words, text):
        piece, after = found[0], text[found.end() :]
        sign = _sign(piece, last is None, after)
        if sign is None and not re.match(r"\w|&", piece):
            continue  # brackets, hyphens, slashes
        if last is not None:
            pattern += _gap(last[0], piece, text[last.end() : found.start()], sign)
        pattern += sign or _word(piece)
        last = found
    if last is None:
        return re.compile(re.escape(text) or r"(?!)")
    return re.compile(_bounded(pattern, text, last[0]), re.IGNORECASE)


def _sign(piece: str, first: bool, after: str) -> str | None:
    """What a sign is found by, or None for a word and for a hyphen."""
    piece = {"<=": "≤", ">=": "≥"}.get(piece, piece)
    if first and piece in ("+", "-"):
        return re.escape(piece)
    if piece == "-" and re.match(r"\s?\w", after):
        return None
    signs = language()["names"]["signs"]
    return str(signs[piece]) if piece in signs else None


def _gap(last: str, piece: str, between: str, sign: str | None) -> str:
    """What may stand between two pieces of a name, given what stands there in the name."""
    if sign is not None and piece in "+-":
        return r"(?:\s+status)?(?:\s+is|\s*:)?[\s(]*(?:-(?=[a-z]))?"
    if last[-1].isdigit() and piece.isdigit():
        return r"\s*(?:-|to|[\s/])\s*" if "-" in between else r"[\s/.,]+"
    spaced = re.search(r"\s", between) and last.isdigit() == piece.isdigit()
    joined = sign is not None or not last.isascii() or not spaced
    return r"[\s_/(),.'-]*" if joined else r"[\s_/(),'-]+"


def _word(piece: str) -> str:
    """One word, its plural or singular, and other spellings of it."""
    if not (piece.isascii() and piece.isalpha()):
        return re.escape(piece)
    single = piece.lower().removesuffix("s")
    forms = [piece]
    for group in language()["names"]["alike"]:
        if piece.lower() in group or single in group:
            forms += [word for word in group if word not in (piece.lower(), single)]
    return "(?:" + "|".join(dict.fromkeys(map(_number, forms))) + ")(?:'s)?"


def _number(word: str) -> str:
    for end, forms in (
        ("ies", "(?:ies|y)"),
        ("y", "(?:y|ies)"),
        ("sis", "s[ie]s"),
        ("um", "(?:um|a)"),
        ("ig", "ig(?:e[mnrs]?)?"),
        ("isch", "isch(?:e[mnrs]?)?"),
        ("igno", "ign[oa]s?"),
    ):
        if word.lower().endswith(end) and len(word) > len(end) + 1:
            return re.escape(word[: -len(end)]) + forms
    if len(word) > 4 and word.lower().endswith("us"):
        return re.escape(word[:-2]) + "(?:us|i|uses)"
    if len(word) < 3 or word.lower().endswith(("ss", "us", "is")):
        return re.escape(word)
    if word.lower().endswith("s"):
        return re.escape(word[:-1]) + "s?"
    return re.escape(word) + ("(?:s|ta)?" if word.lower().endswith("a") else "(?:s|es)?")


def _bounded(pattern: str, text: str, last: str) -> str:
    """The pattern where no word goes on to its left or right."""
    before = rf"(?:(?<![{WORD}])|(?<=\bnon))(?<!\d[.,])" if re.match(rf"[{WORD}<>]", text) else ""
    after = rf"(?![{WORD}])" if re.match(rf"[{WORD}]", last) else ""
    if last[-1].isdigit():
        after += r"(?![.,]\d|\s?%)"
    closing = r"\)?" if last in "+-" else ""
    if text.casefold() == "no":  # "no fracture" denies the fracture and answers nothing
        after += r"(?=\s*(?:$|[.,:;!?)\n\"'}]))"
    names = language()["names"]
    apart = "".join(f"(?<!{prefix})" for prefix in names["before"])
    return f"{apart}{before}{pattern}{closing}{after}(?!{names['after']})"
