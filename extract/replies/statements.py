"""What a text says of each class that it names: claimed, denied, left open or only talked about.

A sentence is a row of tokens: mentions of classes, and cues of replies.toml, the longest where they
overlap. Cues before a class reach on until something ends them; cues after it reach back to the
nearest class.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from extract.replies.comparisons import compare, generalise, set_aside, suppose
from extract.replies.cues import CLASS, ENDS, Token, only, split_sentences, tokenised
from extract.replies.language import MENTION, WORD, language
from extract.replies.mentions import Mention, mention_of
from extract.replies.other_languages import leave_open
from extract.replies.polarity import ASIDE, DENIED, MAYBE, OPEN, PLAIN, SURE, Statement
from extract.replies.rewording import answered_first, excepted, resolved

FINAL = "[\u3040-\u30ff\uac00-\ud7a3]"
"""Kana and Hangul: where the verb stands last, a cue of what is before it never speaks of more."""
SAID = {
    "deny": DENIED,
    "deny_that": DENIED,
    "open": OPEN,
    "aside": ASIDE,
    "maybe": MAYBE,
    "sure": SURE,
    "claim": PLAIN,
    "than": ASIDE,
}


@dataclass
class Reach:
    """The cues that reach the place that is being read, by kind."""

    cues: dict[str, Token] = field(default_factory=dict)

    def drop(self, *kinds: str) -> None:
        for kind in kinds:
            self.cues.pop(kind, None)


def statements(text: str, mentions: list[Mention]) -> list[list[Statement]]:
    """The statements of every sentence that names a class; `text` is from `names.mentions`."""
    examples = language()["clause"]["examples"]
    text = re.sub(rf"(?i), (?:{examples})[^,;.\n{MENTION[1:-1]}]*,", "", text)
    text = excepted(answered_first(resolved(text, mentions), mentions), mentions)
    sentences = [s for s in split_sentences(text) if s.strip()]
    read = [_sentence(s, mentions) for s in sentences]
    contrast = rf"[\s\"'(]*(?:{'|'.join(language()['clause']['contrasts'])})(?![{WORD}])"
    for at, sentence in enumerate(sentences):
        if re.match(contrast, sentence, re.IGNORECASE):
            read[:at] = [[s.weakened() for s in earlier] for earlier in read[:at]]
        if re.search(r"[?？]\s*$", sentence) and read[at]:
            following = sentences[at + 1] if at + 1 < len(sentences) else ""
            read[at] = _questioned(sentence, read[at], following)
    return [found for found in read if found]


def _questioned(sentence: str, read: list[Statement], following: str) -> list[Statement]:
    """A question claims nothing, but what is answered by yes or no, and one that is only a name."""
    for replies, means in (("no", DENIED), ("yes", PLAIN)):
        words = language()["questions"][replies]
        intro = rf"[\s\"'(:]*(?:{language()['questions']['intro']})?"
        reply = re.match(rf"{intro}({words})(?![{WORD}])", following, re.IGNORECASE)
        ends = rf"(?:{language()['questions']['says']})[\s:,\"']+({replies})[\"'\s.!]*$"
        reply = reply or re.search(rf"(?i)(?<![{WORD}]){ends}", following)
        if reply:
            return [Statement(s.mention, means, reply[1]) for s in read]
    said = re.sub(rf"(?i)\b(?:{language()['questions']['unsure']})\b", "", sentence)
    if not re.search(rf"[{WORD}]{{2,}}|[^\W{WORD}\U000f0000-\U000ffffd]{{2,}}", said):
        return [s.weakened() for s in read]
    return [Statement(s.mention, ASIDE, "?") for s in read]


def _sentence(sentence: str, mentions: list[Mention]) -> list[Statement]:
    if not re.search(MENTION, sentence):
        return []
    tokens = _turned(list(tokenised(sentence)))
    said = _said_before(sentence, tokens)
    _say_after(sentence, tokens, said)
    compare(sentence, tokens, said)
    generalise(sentence, tokens, said)
    suppose(tokens, said)
    set_aside(sentence, tokens, said)
    leave_open(sentence, tokens, said)
    for at, (kind, cue) in list(said.items()):
        if kind == DENIED and _repeats(cue, mention_of(tokens[at].text, mentions)):
            said[at] = (PLAIN, "")
    return [
        Statement(
            mention_of(token.text, mentions),
            *said[at],
            _part(tokens, at),
            _place(sentence, token) or (_sort(sentence, token) if said[at][0] == DENIED else ""),
        )
        for at, token in enumerate(tokens)
        if token.kind == CLASS
    ]


def _part(tokens: list[Token], at: int) -> str:
    """The part of the image that the clause of a mention speaks of."""
    ends = [place for place, token in enumerate(tokens) if token.kind in ENDS]
    begin = max((place for place in ends if place < at), default=0)
    end = min((place for place in ends if place > at), default=len(tokens))
    clause = tokens[begin:end]
    parts = (t.text for t in clause if t.kind == "parts" or t.text.casefold() == "otherwise")
    return next(parts, "")


def _repeats(denial: str, mention: Mention) -> bool:
    """Whether a class that is a denial only says again what was denied: "no sign of DR (no DR)"."""
    names = language()["names"]
    own = re.match(rf"(?i)(?:{names['negations']})(?![{WORD}])", mention.said)
    return bool(own and re.fullmatch(rf"(?i)(?:{names['repeated']})", denial.strip()))


def _place(sentence: str, token: Token) -> str:
    """The side before a mention, or the place behind it, that it is said of."""
    names = language()["names"]
    side = re.search(rf"(?i)(?<![{WORD}])(?:{names['side']})$", sentence[: token.start])
    behind = re.match(rf"(?i)\s*(?:{names['place']})", sentence[token.end :])
    return " ".join(found[0].strip().casefold() for found in (side, behind) if found)


def _sort(sentence: str, token: Token) -> str:
    """The sort that a denial is of, as in "no displaced fracture": there may be another."""
    before = rf"(?i)\b(?:no|nor|without)\s+((?!(?:{language()['names']['unkind']})\b)[a-z-]+)\s+$"
    found = re.search(before, sentence[: token.start])
    return found[1].casefold() if found else ""


def _turned(tokens: list[Token]) -> list[Token]:
    """Cues of a class before them that has none there speak of the classes after them."""
    turned = []
    for at, token in enumerate(tokens):
        turns = token.side == "after" and token.kind != "aside" and not re.search(FINAL, token.text)
        if turns and _nearest(tokens, at) is None:
            token = Token("before", token.kind, token.text, token.start, token.end)
        turned.append(token)
    return turned


def _nearest(tokens: list[Token], at: int) -> int | None:
    """The class that a cue at this place speaks of: the one right before it in its clause."""
    for before in range(at - 1, -1, -1):
        token = tokens[before]
        if token.kind == CLASS:
            return before if tokens[at].start - token.end <= 48 else None
        if token.kind in ("comma", "verbs", *ENDS):
            return None
    return None


def _said_before(sentence: str, tokens: list[Token]) -> dict[int, tuple[str, str]]:
    """What the cues before each class say of it."""
    reach, said = Reach(), {}
    for at, token in enumerate(tokens):
        if token.kind == CLASS:
            said[at] = _reached(reach)
            if not _joined(sentence, tokens, at):
                reach.drop("maybe", "sure", "claim")
            if "deny" in reach.cues and reach.cues["deny"].text.lower().startswith("non"):
                reach.drop("deny")
        elif token.kind in ENDS:
            reach = Reach({"maybe": token} if token.kind == "concessions" else {})
            if token.kind == "contrasts":
                said = {place: _weakened(s) for place, s in said.items()}
        elif token.kind == "colons":
            reach.drop("than", *(["aside"] if len(said) > 1 else []))
            if said or _complete(sentence, token, reach):
                reach.drop("deny", "deny_that")
        elif token.kind == "comma":
            _pass_comma(sentence, tokens, at, reach)
        elif token.kind == "verbs":
            _pass_verb(sentence, tokens, at, reach)
        elif token.side == "before":
            _enter(sentence, token, reach)
    return said


def _weakened(said: tuple[str, str]) -> tuple[str, str]:
    return (MAYBE, "what is said against it") if said[0] == PLAIN else said


def _reached(reach: Reach) -> tuple[str, str]:
    cues = reach.cues
    for kind in ("aside", "than", "open"):
        if kind in cues:
            return SAID[kind], cues[kind].text
    for kind in ("deny_that", "deny"):
        if kind in cues:
            return DENIED, cues[kind].text
    for kind in ("claim", "sure", "maybe"):
        if kind in cues:
            return SAID[kind], cues[kind].text
    return PLAIN, ""


def _enter(sentence: str, token: Token, reach: Reach) -> None:
    """A cue begins to reach; of two denials close to each other one takes back the other."""
    if token.text.lower() == "either" and {"deny", "deny_that"} & set(reach.cues):
        return  # "no evidence of either" denies both
    if token.kind in ("deny", "deny_that"):
        whole, near = reach.cues.get("deny_that"), reach.cues.get("deny")
        reach.drop("deny", "deny_that")
        again = token.text.lower() in ("nor", "or")
        if not again and (whole or (near and only(sentence[near.end : token.start], "light"))):
            return
    if token.kind == "claim":
        reach.drop("deny", "deny_that")
    if token.kind in ("sure", "maybe"):
        if token.text.lower().startswith("i "):  # who speaks begins a clause of their own
            reach.drop("deny", "deny_that")
        if token.text.lower() == "or" and reach.cues:
            return
        sure = reach.cues.get("sure")
        if token.kind == "maybe" and sure and only(sentence[sure.end : token.start], "light"):
            return
        reach.drop("sure", "maybe")
    reach.cues[token.kind] = token


def _complete(sentence: str, colon: Token, reach: Reach) -> bool:
    """Whether a denial has its object before a colon, as in "no opacity: normal"."""
    deny = reach.cues.get("deny")
    return deny is not None and not only(sentence[deny.end : colon.start], "unfinished")


def _pass_verb(sentence: str, tokens: list[Token], at: int, reach: Reach) -> None:
    """A new claim begins, unless its subject is what was denied: "no lesion is …"."""
    token, deny = tokens[at], reach.cues.get("deny")
    is_next = deny is not None and not sentence[deny.end : token.start].strip()
    if deny is not None and is_next and deny.text.casefold() == "not":
        return  # "does not point to"
    spoken = max((t.end for t in tokens[:at] if t.kind == CLASS), default=None)
    begun = spoken is not None and re.search(r"(?i)\band\b", sentence[spoken : token.start])
    if token.text.startswith(",") or begun:
        reach.cues.clear()
    elif spoken is not None and token.text.lower().startswith("i "):
        reach.drop("aside")
    elif deny is not None:
        subject = re.match(r"(?i)(?:no|none of|nothing|neither|nor)\b", deny.text)
        between = sentence[deny.end : token.start]
        apart = r"(?i)[,，:：—]| - |^-(?:it|this|that|the)\b|\band\b"  # "No—it is benign", too
        if not subject or re.search(apart, between):
            reach.drop("deny")


def _pass_comma(sentence: str, tokens: list[Token], at: int, reach: Reach) -> None:
    """A cue goes on over a comma within a list of what it speaks of, and ends there otherwise."""
    following = next((t for t in tokens[at + 1 :] if t.kind in (CLASS, "verbs", *ENDS)), None)
    if following is None or following.kind != CLASS or _begins(sentence, tokens[at], following):
        listed, joined = False, None
    else:
        between = sentence[tokens[at].end : following.start]
        rest = sentence[tokens[at].end :].split(";")[0]
        until = next(
            (t.start for t in tokens[at + 1 :] if t.kind in ("verbs", *ENDS)), len(sentence)
        )
        joined = re.search(
            rf"(?i){language()['clause']['listing']}", sentence[tokens[at].end : until]
        )
        listed = bool(joined) or tokens[at].text == "、"
        if not listed and only(between, "joints") and rest:
            deny = reach.cues.get("deny")
            if (
                deny is not None
                and re.match(rf"(?i)(?:{language()['clause']['contrary']})", deny.text) is None
            ):
                reach.cues["open"] = deny
            elif deny is None:
                listed = True
    if not joined:
        reach.drop("than")
    if not listed:
        kept = reach.cues.get("open") if "deny" in reach.cues else None
        reach.cues.clear()
        if kept is not None:
            reach.cues["open"] = kept


def _begins(sentence: str, comma: Token, following: Token) -> bool:
    """Whether a new claim begins after a comma: with a class that a verb follows at once."""
    between, after = sentence[comma.end : following.start], sentence[following.end :]
    clause = language()["clause"]
    verb = re.match(rf"\s*(?:{clause['being']})\b(?! (?:{clause['seen']}))", after)
    return verb is not None and not re.search(r"\b(?:or|nor|and)\b", between)


def _joined(sentence: str, tokens: list[Token], at: int) -> bool:
    """Whether nothing but "or", "and" and the like stands between a class and the next one."""
    following = next((t for t in tokens[at + 1 :] if t.kind == CLASS), None)
    return following is not None and only(sentence[tokens[at].end : following.start], "joints")


def _say_after(sentence: str, tokens: list[Token], said: dict[int, tuple[str, str]]) -> None:
    """What the cues after a class say of it, and of those that are joined to it."""
    for at, token in enumerate(tokens):
        if token.side != "after":
            continue
        nearest = _nearest(tokens, at)
        if nearest is None:
            continue
        for index in _group(sentence, tokens, nearest):
            begins = max((i for i in range(index) if tokens[i].kind in ENDS), default=0)
            said[index] = _combined(said[index], token, tokens[begins:index])


def _group(sentence: str, tokens: list[Token], nearest: int) -> list[int]:
    """A class and those that "and" or "or" joins to it, as subjects of one verb."""
    group = [nearest]
    for at in range(nearest - 1, -1, -1):
        if tokens[at].kind == CLASS:
            between = sentence[tokens[at].end : tokens[nearest].start]
            apart = re.fullmatch(rf"(?:[\s,，]|{MENTION})*", between)
            ended = any(token.kind == "verbs" for token in tokens[:at])
            if apart or ended or not _joined(sentence, tokens, at):
                break
            group.append(at)
    return group


def _combined(earlier: tuple[str, str], token: Token, before: list[Token]) -> tuple[str, str]:
    """What is said of a class by the cues before it and one after it."""
    new = SAID[token.kind]
    if new == ASIDE and any(t.kind == "verbs" for t in before) and token.text.isascii():
        return earlier  # "the lesion is malignant, which usually …"
    kept = {DENIED: ("maybe", "sure"), OPEN: set(SAID) - {"claim"}, ASIDE: SAID}
    if token.kind in kept.get(earlier[0], ()):
        return earlier
    if new in (DENIED, OPEN, ASIDE) or token.kind == "claim":
        return new, token.text.strip()
    return (new, token.text.strip()) if earlier[0] in (PLAIN, MAYBE) else earlier
