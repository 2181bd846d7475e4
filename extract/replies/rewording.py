"""A text said in other words before its statements are read: pronouns, yes and no, exceptions."""

import re

from extract.replies.class_names import is_absence
from extract.replies.language import MENTION, language
from extract.replies.mentions import Mention, mention_of


def resolved(text: str, mentions: list[Mention]) -> str:
    """A text in which "the former", "the latter", "the first" and "the second" are the classes that
    they mean: of the last two that were named.
    """
    words = language()["clause"]["ordinals"]

    def meant(found: re.Match[str]) -> str:
        named: dict[int, str] = {}
        for sign in re.findall(MENTION, text[: found.start()]):
            index = mention_of(sign, mentions).index
            named.pop(index, None)
            named[index] = sign
        if len(named) < 2:
            return found[0]
        return list(named.values())[-2 if re.search(words["first"], found[0].lower()) else -1]

    return re.sub(rf"(?i)\b{words['pattern']}", meant, text)


def answered_first(text: str, mentions: list[Mention]) -> str:
    """A text in which the yes or no that a line begins with is a sentence of its own."""

    def ended(found: re.Match[str]) -> str:
        said = mention_of(found[1].strip(), mentions).said.casefold()
        return f"{found[1]}. " if said in ("yes", "no") else found[0]

    return re.sub(rf"(?m)^(\s*{MENTION})\s*(?:[:：]|-\s|(?=\())", ended, text)


def excepted(text: str, mentions: list[Mention]) -> str:
    """A text in which what is "normal apart from" something is contrasted with that."""
    clause = language()["clause"]

    def contrasted(found: re.Match[str]) -> str:
        is_whole = is_absence(mention_of(found[1], mentions).said)
        return f"{found[1]}, but " if is_whole else found[0]

    return re.sub(rf"(?i)({MENTION}),? {clause['excepted']} ?(?={MENTION})", contrasted, text)
