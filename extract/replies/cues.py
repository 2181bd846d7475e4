"""A folded text in sentences, and a sentence as a row of tokens: mentions of classes, and cues."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from extract.replies.language import MENTION, WORD, language

CLASS = "class"
CLAUSE = (
    *("stops", "contrasts", "concessions", "colons", "conditions"),
    *("verbs", "relative", "nothing", "parts"),
)
ENDS = ("stops", "contrasts", "concessions")
"""What ends every reach."""
FIRST = ("open", "claim")
"""What counts first of cues in one place."""


@dataclass(frozen=True)
class Token:
    side: str
    kind: str
    text: str
    start: int
    end: int


def split_sentences(text: str) -> list[str]:
    """A folded text in sentences; a point within a number or between letter and name ends none."""
    end = (
        r"(?<=[!?。！？\n])|(?<=\.)(?<!\d\.)(?<!\bvs\.)(?<!e\.g\.)(?<!i\.e\.)(?<!\bDr\.)(?=[\s\"')]|$)"
        r"|(?<=\d\.)(?=\s+\D|$)"
    )
    return re.split(end, text)


@cache
def _cues() -> list[tuple[str, str, re.Pattern[str]]]:
    """Every kind of cue with its side and what finds it."""
    known = language()
    link = rf"(?:(?:{known['after']['link']})\s+)*(?:(?:{known['after']['adverb']})\s+)*"
    rows = [("before", kind, _pattern(words)) for kind, words in known["before"].items()]
    for kind, words in known["after"].items():
        if isinstance(words, list):
            rows.append(("after", kind, _pattern(words, link)))
    rows += [("clause", kind, _pattern(known["clause"][kind])) for kind in CLAUSE]
    rows.append(("clause", CLASS, re.compile(MENTION)))
    rows.append(("clause", "comma", re.compile("[,，、]")))
    return rows


def _pattern(cues: list[str], link: str = "") -> re.Pattern[str]:
    """What finds cues: those of a script with spaces as words of their own, behind a link."""
    cues = [cue.replace("{class}", MENTION) for cue in sorted(cues, key=len, reverse=True)]
    words = [cue for cue in cues if re.match(r"\(?(?:\?:)?[a-z]", cue)]
    others = [cue for cue in cues if cue not in words]
    whole = [rf"{cue}(?![{WORD}])" if re.search(r"[a-z)*?+]\Z", cue) else cue for cue in words]
    spaced = [rf"(?<![{WORD}]){link}(?:{'|'.join(whole)})"] if whole else []
    return re.compile("|".join([*spaced, *others]), re.IGNORECASE)


def tokenised(sentence: str) -> Iterator[Token]:
    """Mentions and cues in order; of those that overlap the first to start, then the longest."""
    found = [
        Token(side, kind, match[0], match.start(), match.end())
        for side, kind, pattern in _cues()
        for match in pattern.finditer(sentence)
        if match[0]
    ]
    at = 0
    for token in sorted(found, key=_order):
        if token.start >= at:
            at = token.end
            yield token


def _order(token: Token) -> tuple[int, int, bool, bool]:
    return token.start, -token.end, token.kind not in FIRST, token.side != "after"


def only(text: str, words: str) -> bool:
    """Whether a text consists of nothing but such words of the clause section."""
    return re.fullmatch(rf"(?:\s|{language()['clause'][words]})*", text, re.IGNORECASE) is not None
