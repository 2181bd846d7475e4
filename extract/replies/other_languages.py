"""Denials of languages that are not read word by word: at least nobody is told the opposite."""

import re
from functools import cache

from extract.replies.cues import CLASS, Token
from extract.replies.language import MENTION, WORD, language
from extract.replies.polarity import CLAIMS, DENIED, OPEN


def leave_open(sentence: str, tokens: list[Token], said: dict[int, tuple[str, str]]) -> None:
    """Such a denial leaves open what is claimed in its sentence, up to the next class; one that
    stands alone, right before a class, denies that one.
    """
    words = list(re.finditer(_words(), sentence))
    if not words:
        return
    places = [token.start for token in tokens if token.kind == CLASS]
    for at, (kind, _) in list(said.items()):
        place = tokens[at].start
        near = re.search(_near(), sentence[:place])
        if len(words) == 1 and near and near.start() <= words[0].start():
            said[at] = (DENIED, near[0].strip())
        elif kind in CLAIMS:
            first, last = sorted((place, words[0].start()))
            is_apart = len(words) == 1 and any(first < other < last for other in places)
            said[at] = said[at] if is_apart else (OPEN, words[0][0])


@cache
def _words() -> re.Pattern[str]:
    known = language()["elsewhere"]
    words = "|".join(known["words"]).replace("{class}", MENTION)
    return re.compile(rf"(?i)(?<![{WORD}])(?:{words})(?![{WORD}])|{known['unspaced']}")


@cache
def _near() -> re.Pattern[str]:
    return re.compile(rf"(?i)(?<![{WORD}])(?:{language()['elsewhere']['near']})\s*$")
