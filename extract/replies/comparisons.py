"""What a clause says of a class by setting it against another, in general, or on a condition."""

from __future__ import annotations

import re
from itertools import pairwise

from extract.replies.cues import CLASS, ENDS, Token, only
from extract.replies.language import MENTION, language
from extract.replies.polarity import ASIDE, CLAIMS, DENIED, GENERAL, MAYBE, OPEN, PLAIN, SURE


def compare(sentence: str, tokens: list[Token], said: dict[int, tuple[str, str]]) -> None:
    """ "X is less likely than Y" claims Y; "X or Y" and "X versus Y" claim neither for sure."""
    places = [at for at, token in enumerate(tokens) if token.kind == CLASS]
    clause = language()["clause"]
    changed = rf"(?i)\b{clause['changes']}\b.*\bfrom (?:an? |the )?$"
    scale = rf"(?:an?|the|{language()['terse']['scales']})?"
    either = rf"(?i)\W*(?:{clause['or']})\W*{scale}\W*{clause['degree']}"
    for first, second in pairwise(places):
        if tokens[first].text == tokens[second].text:
            continue  # "…, the latter": it is of the same place
        between = sentence[tokens[first].end : tokens[second].start]
        less = re.search(rf"(?i){clause['lesser']}", sentence[: tokens[second].start])
        if re.fullmatch(r"(?i)\s*(?:in)?to (?:an? |the )?", between) and re.search(
            changed, sentence[: tokens[first].start]
        ):
            said[first] = (ASIDE, "from")
        elif re.fullmatch(r"(?i)\s*to (?:an? |the )?", between) and re.search(
            rf"(?i)\b{clause['prefers']}\b", sentence[: tokens[first].start]
        ):
            said[second] = (ASIDE, "prefer")
        elif re.fullmatch("[ -]+", between) and said[first][0] == said[second][0] == DENIED:
            said[second] = (ASIDE, said[second][1])  # "not X Y" need not deny Y without X
        elif re.search(rf"(?i)\b{clause['includes']}\b", between):
            said[first] = (ASIDE, between.strip())
        elif re.search(rf"(?i)\b(?:{clause['unlike']})\b", between):
            said[first] = said[second] = (OPEN, between.strip())
        elif less and less.end() > tokens[first].end:
            said[first], said[second] = (ASIDE, between.strip()), (PLAIN, between.strip())
        elif re.search(rf"(?i){clause['against']}", between):
            if said[first][0] in (PLAIN, ASIDE) and said[second][0] in CLAIMS:
                kind = MAYBE if said[first][0] == PLAIN else ASIDE
                said[first] = said[second] = (kind, between.strip())
        elif re.fullmatch(either, between):
            kinds = (said[first][0], said[second][0])  # "A or B would show …", "A vs. B: unclear"
            of_both = next((kind for kind in (ASIDE, OPEN) if kind in kinds), MAYBE)
            for at in (first, second):
                if said[at][0] in CLAIMS:
                    said[at] = (of_both, between.strip())
        elif not {said[first][0], said[second][0]} <= set(CLAIMS):
            continue
        elif re.fullmatch(r"\s*[,，、/|]\s*", between):
            said[first], said[second] = (MAYBE, between.strip()), (MAYBE, between.strip())
        elif only(between, "joints"):
            said[first] = said[second] = max(said[first], said[second], key=_weakness)


def _weakness(said: tuple[str, str]) -> int:
    return CLAIMS.index(said[0])


def generalise(sentence: str, tokens: list[Token], said: dict[int, tuple[str, str]]) -> None:
    """A class in general is only talked about; one that opens a clause in the plural may be."""
    clause = language()["clause"]
    general = re.match(rf"(?i)\W*(?:{'|'.join(clause['general'])})", sentence)
    plural = rf"(?i)(?:^|[,;:]|\bwhile|\bwhereas|\band)\W*({MENTION})(?: \w+s)? {clause['plural']}"
    opens = {found.start(1) for found in re.finditer(plural, sentence)}
    for at, (kind, _) in list(said.items()):
        if kind in (SURE, PLAIN) and general:
            said[at] = (ASIDE, general[0].split()[0])
        elif kind == PLAIN and tokens[at].start in opens:
            said[at] = (GENERAL, "")


def suppose(tokens: list[Token], said: dict[int, tuple[str, str]]) -> None:
    """A class that depends on a condition stays open, up to what is said against it."""
    condition: Token | None = None
    for at, token in enumerate(tokens):
        if token.kind == "conditions":
            if condition or token.text.casefold() != "otherwise":  # which is so after an "if" only
                condition = token
        elif token.kind == "contrasts":
            condition = None
        elif token.kind == CLASS and condition and said[at][0] in (*CLAIMS, DENIED):
            said[at] = (OPEN, condition.text)


def set_aside(sentence: str, tokens: list[Token], said: dict[int, tuple[str, str]]) -> None:
    """What was at another time, and what has a chance of less than a half, is no claim."""
    clause = language()["clause"]
    ends = [0, *(t.end for t in tokens if t.kind in ENDS), len(sentence)]
    for begin, end in pairwise(ends):
        then = re.search(rf"(?i)\b(?:{clause['then']})\b", sentence[begin:end])
        small = _small(sentence[begin:end])
        for at, token in enumerate(tokens):
            if token.kind != CLASS or not begin <= token.start < end or said[at][0] not in CLAIMS:
                continue
            if then:
                said[at] = (ASIDE, then[0])
            elif small and token.text in small[0]:
                said[at] = (ASIDE, next(filter(None, small.groups())))


def _small(clause: str) -> re.Match[str] | None:
    """Where a clause gives a class a chance below a half, or a share too small for the largest."""
    known = language()["clause"]
    for kind, limit in (("chance", 50), ("share", 20)):
        ways = (way.replace("{share}", known["percent"]) for way in known[kind])
        for found in filter(None, (re.search(rf"(?i){way}", clause) for way in ways)):
            percent, fraction = found.groups()
            if float(percent or 100 * float(fraction)) < limit:
                return found
    return None
