"""The names of classes, and every way in which replies write them."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from extract.replies.language import WORD, language
from extract.replies.shared_words import alike_at_an_end, common
from extract.replies.spelling import ROMAN, folded, is_terse, pattern

WORDED, TERSE, LETTER, HEAD = "name", "number", "letter", "last word"
"""A last word that names share, as "pneumonia" of "viral pneumonia", can only be denied of all."""


@dataclass(frozen=True)
class ClassNames:
    """How a class may be called in a reply."""

    label: str
    phrase: str
    also: tuple[str, ...] = ()

    @property
    def every(self) -> tuple[str, ...]:
        return self.phrase, self.label, *self.also


@dataclass(frozen=True)
class Spelling:
    """A way of writing a name that few texts have; those without its `needle` are not searched."""

    source: str
    needle: str

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(self.source, re.IGNORECASE)

    @classmethod
    def of(cls, source: str, words: str) -> "Spelling":
        """One that has these words; none is needed where others say the same."""
        said = words.casefold().split()[0]
        alike = any(said in group for group in language()["names"]["alike"])
        return cls(source, "" if alike else said[:3])


Found = tuple[int, str, str, tuple[re.Pattern[str], ...], tuple[Spelling, ...]]
"""What finds a name: the index of its class, the name, its kind, patterns and seldom ways."""


@lru_cache(maxsize=8)
def finding(
    classes: tuple[ClassNames, ...],
) -> list[Found]:
    """What finds each name of each class, worked out once for all replies of a dataset."""
    return [
        (
            index,
            name,
            TERSE if is_terse(name) else WORDED,
            (
                pattern(name),
                *_counted(name),
                *_denials(name, classes),
                *_first_part(name, classes),
            ),
            (*_inverted(name), *_shortened(name, classes)),
        )
        for index, names in enumerate(classes)
        for name in dict.fromkeys(names.every)
    ] + _graded(classes)


def _graded(
    classes: tuple[ClassNames, ...],
) -> list[Found]:
    """What finds the number of "grade 2" under another scale or alone, "3+" of "HER2 3+", where all
    names begin alike, and N1 in pT2N1M0.
    """
    sequences = set(language()["names"]["sequences"])
    scaled = rf"(?:{language()['terse']['scales']})[ -]*(\d)"
    found: list[Found] = []
    for index, names in enumerate(classes):
        name = folded(names.phrase)
        if number := re.fullmatch(scaled, name, re.IGNORECASE):
            numeral = next((r for r, n in ROMAN.items() if str(n) == number[1]), number[1])
            roman = re.compile(rf"(?<![{WORD}]){numeral.upper()}(?![{WORD}])")
            if name.casefold().startswith("grade"):
                letter = re.compile(rf"(?<![{WORD}])G{number[1]}(?![{WORD}])")
                found.append((index, names.phrase, WORDED, (letter,), ()))
            found.append(
                (index, number[1], TERSE, (pattern(number[1]), *_counted(number[1]), roman), ())
            )
            scale, ordinals = name[: number.start(1)].strip(" -"), language()["ordinals"]
            if 0 < int(number[1]) <= len(ordinals["words"]):
                place = ordinals["words"][int(number[1]) - 1]
                found.append((index, names.phrase, WORDED, (pattern(f"{place} {scale}"),), ()))
        if re.fullmatch(r"[TNM]\d[a-d]?", name):
            others = r"(?:[TNM](?:\d[a-d]?|is|x))*"
            alone = rf"(?!{name}(?![{WORD}]))"
            way = rf"(?<![{WORD}]){alone}[cpry]{{0,2}}{others}{name}{others}(?![{WORD}])"
            if sequences & {folded(other.phrase).casefold() for other in classes}:
                way = rf"(?<![{WORD}]){name}(?:-? ?w(?:i|eighted)?)(?![{WORD}])"
            found.append((index, names.phrase, WORDED, (re.compile(way, re.IGNORECASE),), ()))
    split = [folded(names.phrase).split() for names in classes]
    same = min((common(split[0], words) for words in split), default=0) if split else 0
    rests = [" ".join(words[same:]) for words in split]
    if same and all(re.match(r"[<>≤≥]?=?\s*\d", rest) for rest in rests):
        for index, rest in enumerate(rests):
            if all(held != index for held, *_ in found):
                kind = TERSE if is_terse(rest) else WORDED
                found.append((index, rest, kind, (pattern(rest),), ()))
    shared = [one[1] for one in found if one[2] == TERSE]
    return [one for one in found if one[2] != TERSE or shared.count(one[1]) == 1]


def _counted(name: str) -> Iterator[re.Pattern[str]]:
    """What finds a number that is a name where it is written as a word, and the other way round."""
    words, said = language()["terse"]["words"], folded(name).strip().lower()
    if said in words:
        yield pattern(str(words.index(said)))
    elif said.isdigit() and said == str(int(said)) and int(said) < len(words):
        yield pattern(words[int(said)])


def _inverted(name: str) -> Iterator[Spelling]:
    """What finds "nevus (melanocytic)", "carcinoma in situ", "the mucosa is normal", "NoFinding",
    "Barrett's", and "benign lung tissue" for "lung benign tissue".
    """
    words = folded(name).replace("_", " ").split()
    known = language()["names"]
    if len(words) > 1 and words[0].endswith("'s"):
        yield Spelling.of(rf"(?<![{WORD}]){words[0]}(?= *(?:[.,;:!?)]|$))", words[0])
    are_words = all(word.replace("-", "").isalpha() for word in words)
    if len(words) < 2 or not are_words or re.fullmatch(known["negations"], words[0].casefold()):
        return
    for n in {1, len(words) - 1}:
        front, back = " ".join(words[:n]), " ".join(words[n:])
        said, noun = pattern(front).pattern, pattern(back).pattern
        turned = rf"{noun}(?: \({said}\)|(?:,| {known['said']})? {said}(?! {words[-1]}))"
        yield Spelling.of(turned, front)
    yield Spelling.of(rf"(?<![{WORD}]){''.join(words)}(?![{WORD}])", words[0])
    if len(words) == 3:
        yield Spelling.of(pattern(f"{words[1]} {words[0]} {words[2]}").pattern, words[2])


def _denials(name: str, classes: Sequence[ClassNames]) -> Iterator[re.Pattern[str]]:
    """What finds "no evidence of a tumor" for "no tumor", where no class is "tumor"."""
    known = language()["names"]
    denial = re.fullmatch(rf"(?:{known['negations']})[ -]+(\S.*)", folded(name), re.IGNORECASE)
    if denial is None:
        return
    named = own_names(classes)
    if denial[1].casefold() not in named and not is_terse(denial[1]):
        masses = known["masses"] if denial[1].casefold() in known["masses"] else [denial[1]]
        rest = f"(?:{'|'.join(pattern(mass).pattern for mass in reversed(masses))})"
        others = "|".join(pattern(n).pattern for n in sorted(named - {folded(name).casefold()}))
        apart = rf"(?!(?:(?!{rest})\w+ ){{1,5}}?(?:{others}))" if others else ""
        for words in (f"{known['denial']}{rest}{known['unsure']}", f"{rest}{known['denied']}"):
            yield re.compile(rf"(?<![{WORD}]){apart}{words}", re.IGNORECASE)


def _shortened(name: str, classes: Sequence[ClassNames]) -> Iterator[Spelling]:
    """What finds a name that has words from another's: "viral" in "viral or bacterial pneumonia",
    and "pneumonia, most likely viral".

    Where names begin alike ("hepatitis B or C") both have one span, that of both.
    """
    words, known = folded(name).split(), language()["names"]
    joint = rf"\s*(?:{known['shared']})\s*(?:an? |the )?"
    behind: dict[tuple[str, str, bool], set[str]] = defaultdict(set)
    before: dict[tuple[str, str], set[str]] = defaultdict(set)
    alone: dict[int, str] = {}
    for other in map(str.split, alike_at_an_end(phrases_of(classes)).get(folded(name), ())):
        begin, end = common(words, other), common(words[::-1], other[::-1])
        if not begin + end or begin + end >= min(len(words), len(other)):
            continue
        kept, others = (" ".join(each[: len(each) - end]) for each in (words, other))
        own, theirs = (" ".join(map(_spelled, each[begin:])) for each in (words, other))
        if not is_terse(kept):
            behind[kept, pattern(kept).pattern, begin > 0].add(theirs)
            if end and not begin:
                alone[end] = kept
        if begin and not is_terse(others):
            before[own, words[begin]].add(pattern(others).pattern)
    for (kept, found_by, begins), tails in behind.items():
        tail = rf"{joint}(?:{'|'.join(sorted(tails, key=len, reverse=True))})(?!\w)"
        yield Spelling.of(found_by + (tail if begins else f"(?={tail})"), kept)
    for (own, needed), heads in before.items():
        yield Spelling.of(rf"(?:{'|'.join(sorted(heads))}){joint}{own}(?!\w)", needed)
    for end, kept in alone.items():
        shared = pattern(" ".join(words[-end:])).pattern
        kinds = (folded(other).split()[:-end] for other in phrases_of(classes))
        shared = "".join(rf"(?<!\b{re.escape(k[-1])} )" for k in kinds if k) + shared
        yield Spelling.of(f"{shared}{known['turned']}{re.escape(kept)}{known['others']}", kept)
        leant = "|".join(rf"(?<=\b{word} )" for word in known["leaning"])
        leant += r"|(?:^|(?<=[.;:!?\n] )|(?<=\n))(?=[^.;!\n]*(?:[.;!\n]|$))"
        yield Spelling.of(rf"(?:{leant}){re.escape(kept)}(?=\s*(?:[.,;:!)]|$))", kept)


def _spelled(word: str) -> str:
    """What finds a word and those that say the same."""
    alike = language()["names"]["alike"]
    group = next((group for group in alike if word.casefold() in group), [word])
    return f"(?:{'|'.join(map(re.escape, group))})" if len(group) > 1 else re.escape(word)


def _first_part(name: str, classes: Sequence[ClassNames]) -> Iterator[re.Pattern[str]]:
    """What finds 恶性 of 恶性肿瘤, where another name ends alike and none has that part."""
    if name.isascii() or " " in name:
        return
    others = [folded(c.phrase) for c in classes if folded(c.phrase) != folded(name)]
    for other in others:
        end = common(list(name[::-1]), list(other[::-1]))
        part = name[: len(name) - end]
        if name[len(part) : len(part) + 1] in language()["names"]["kinds"]:
            part = name[: len(part) + 1]
        if end > 1 and len(part) > 1 and not any(part in each for each in others):
            yield pattern(part)


def own_names(classes: Sequence[ClassNames]) -> frozenset[str]:
    """What classes are called by their datasets, in one spelling."""
    return frozenset(folded(name).casefold() for c in classes for name in (c.phrase, c.label))


def phrases_of(classes: Sequence[ClassNames]) -> tuple[str, ...]:
    return tuple(folded(called.phrase) for called in classes)


def is_absence(name: str) -> bool:
    """Whether a class' name says that nothing is wrong."""
    absence = "|".join(language()["names"]["absence"])
    return re.fullmatch(absence, folded(name).replace("_", " "), re.IGNORECASE) is not None


def opposite(index: int, classes: Sequence[ClassNames]) -> int | None:
    """The class named as the denial of this one, as "no pneumonia" is of "pneumonia"."""
    name = folded(classes[index].phrase).casefold()
    pattern = rf"(?:{language()['names']['negations']})[ -]*{re.escape(name)}"
    return next(
        (i for i, c in enumerate(classes) if re.fullmatch(pattern, folded(c.phrase).casefold())),
        None,
    )
