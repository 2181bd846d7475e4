"""Readings, and those of a text as a whole: by shares, or where it names no class."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from extract.replies.class_names import ClassNames, is_absence, opposite
from extract.replies.cues import split_sentences, tokenised
from extract.replies.language import MENTION, language
from extract.replies.mentions import Mention, mention_of
from extract.replies.spelling import folded


@dataclass(frozen=True)
class Reading:
    """The class that a reply names, by its index, or None; and why.

    `mark` is that of the answer it was found by, if any; `firm`, that it is more than possible.
    """

    index: int | None
    why: str
    mark: str = ""
    firm: bool = False


def begun(text: str, classes: Sequence[ClassNames]) -> Reading | None:
    """What the yes or no that a text begins with says of two classes, a thing and that it is not
    there, where all that follows is sure of itself.
    """
    names = [names.phrase.casefold() for names in classes]
    pairs = [(index, opposite(index, classes)) for index in range(len(classes))]
    if sorted(names) == ["no", "yes"]:
        pairs = [(names.index("yes"), names.index("no"))]
    thing = next((pair for pair in pairs if None not in pair), None)
    if len(classes) != 2 or thing is None:
        return None
    for place, said in zip(thing, ("yes", "no"), strict=True):
        words = language()["questions"]["begins"][said]
        found = re.match(rf"(?i)[\s\"'(]*({words})(?=\s*(?:$|[.,;:!()-]))", text)
        doubts = {token.kind for token in tokenised(text[found.end() :])} if found else set()
        offers = rf"(?i)\b(?:{language()['questions']['offers']})\b"
        is_unsure = doubts & {"open", "aside", "maybe", "conditions", "contrasts"}
        if found and not is_unsure and not re.search(offers, text):
            return Reading(place, f"it begins with {found[1]!r}")
    return None


def of_the_whole(text: str, classes: Sequence[ClassNames]) -> Reading | None:
    """The one class of nothing wrong, where a text that names no class says no more than that; or
    the one around whose bare name stands all that it says, as "positive" for "positive for tumor".
    """
    names = language()["names"]
    absent = [
        index
        for index, called in enumerate(classes)
        if is_absence(called.phrase) and " " in called.phrase.strip()  # "no" is of any question
    ]
    parts = [part for s in split_sentences(text) for part in re.split(names["joined"], s)]
    said = [s.strip(" \n.!\"'()").casefold() for s in parts]
    said = [sentence for sentence in said if sentence]
    ways = "|".join(names["whole"]).replace("{image}", names["image"])
    framed = [
        index
        for index, called in enumerate(classes)
        if all(s in language()["frames"]["words"] for s in said)
        and any(set(said) <= set(folded(name).casefold().split()) for name in called.also)
    ]
    if said and len(framed) == 1:
        return Reading(framed[0], f"{said[0]!r} is of the name of one class only")
    if said and len(absent) == 1 and all(re.fullmatch(ways, s, re.IGNORECASE) for s in said):
        return Reading(absent[0], "every sentence says of the image that nothing is wrong")
    return None


def largest_share(text: str, named: list[Mention]) -> Reading | None:
    """The class with the largest share where a text gives each that it names one; else None."""
    number = r"(?:(\d+(?:\.\d+)?)\s*%|([01]?\.\d+))"
    words = language()["shares"]
    chance = rf"(?:{words['chance']})?"
    after = rf"(?P<class>{MENTION})\s*\)?\s*{chance}\s*(?:[:=(|-]|is)?\s*{number}"
    before = rf"{number}\s*(?:{words['between']}|\s)*\s*(?P<class>{MENTION})"
    shares: dict[int, float] = {}
    for found in [*re.finditer(after, text)] or re.finditer(before, text):
        percent, fraction = (group for group in found.groups() if group != found["class"])
        index = mention_of(found["class"], named).index
        shares[index] = float(percent or 100 * float(fraction))
    if len(shares) < 2 or set(shares) != {mention.index for mention in named}:
        return None
    if list(shares.values()).count(max(shares.values())) > 1:
        return Reading(None, "the largest share is that of several")
    index = max(shares, key=shares.__getitem__)
    return Reading(index, f"of the shares named, {shares[index]:g}% is the largest")
