"""Words that names of classes share, worked out once for all replies of a dataset."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache

from extract.replies.language import language
from extract.replies.spelling import pattern


@lru_cache(maxsize=8)
def alike_at_an_end(phrases: tuple[str, ...]) -> dict[str, list[str]]:
    """For every phrase of words those that begin or end with the same word, in order."""
    having: dict[tuple[int, str], list[str]] = defaultdict(list)
    for phrase in phrases:
        if words := phrase.split():
            having[0, words[0]].append(phrase)
            having[-1, words[-1]].append(phrase)
    return {
        phrase: list(dict.fromkeys(having[0, words[0]] + having[-1, words[-1]]))
        for phrase in phrases
        if (words := phrase.split())
    }


@lru_cache(maxsize=8)
def shared_lasts(
    phrases: tuple[str, ...], whole: frozenset[str]
) -> list[tuple[re.Pattern[str], list[int]]]:
    """What finds a last word of phrases, none of the `whole` names itself, where it may be denied,
    and the phrases that end with it.
    """
    names = [phrase.casefold() for phrase in phrases]
    lasts = [
        (name.split() or [""])[-1] if name == meant else ""
        for name, meant in zip(names, undenied(names), strict=True)
    ]
    known = language()["names"]
    of_denials = re.compile(rf"(?:{known['negations']}|normal|healthy)(?![a-z])", re.IGNORECASE)
    shared = (
        last
        for last, n in Counter(lasts).items()
        if last not in whole
        and (n > 1 or not re.fullmatch(known["generic"], last))
        and not any(of_denials.match(name) for name in names if name.endswith(last))
    )
    return [
        (
            re.compile(rf"(?i)(?:\b(?:{known['denying']})|,)\s+({pattern(last).pattern})"),
            [index for index, other in enumerate(lasts) if other.endswith(last)],
        )
        for last in shared
        if len(last) > 2
    ]


@lru_cache(maxsize=8)
def unshared_lasts(
    phrases: tuple[str, ...],
) -> list[tuple[int, re.Pattern[str], re.Pattern[str], bool]]:
    """Phrases whose last word no other has: what finds the phrase, what its last word, and
    whether that says it by itself: the only other class is that there is none, or the first word
    only names the place.
    """
    names = [phrase.casefold() for phrase in phrases]
    meant = undenied(names)
    having = Counter(word for name in set(meant) for word in set(name.split()))
    found = []
    for index, name in enumerate(names):
        last = name.split()[-1] if " " in name else ""
        if len(last) > 3 and last.isalpha() and having[last] == 1 and meant[index] == name:
            known = language()["names"]
            is_placed = re.fullmatch(rf"(?:{known['sites']}) {re.escape(last)}", name)
            is_generic = re.fullmatch(known["generic"], last)
            anywhere = len(names) == 2 and len(set(meant)) == 1
            anywhere = anywhere or bool(is_placed and not is_generic)
            found.append((index, pattern(name), pattern(last), anywhere))
    return found


def undenied(names: Sequence[str]) -> list[str]:
    """Each name, for one that denies another of them the one that it denies."""
    denial, known = rf"(?:{language()['names']['negations']})[ -]+(.+)", set(names)
    denied = (re.fullmatch(denial, name) for name in names)
    return [
        found[1] if found and found[1] in known else name
        for name, found in zip(names, denied, strict=True)
    ]


def common(first: list[str], second: list[str]) -> int:
    """How many words two names begin with alike."""
    alike = [a == b for a, b in zip(first, second, strict=False)]
    return (*alike, False).index(False)
