"""Replies that the budget of new tokens cut: what of them stands whole, and what may go on."""

import re
from collections.abc import Sequence

from extract.replies import marks
from extract.replies.class_names import LETTER, ClassNames
from extract.replies.cues import split_sentences
from extract.replies.language import MENTION, language
from extract.replies.mentions import Mention, mentions_in
from extract.replies.spelling import folded

ITEM = r"\s*(?:[-*•+–·]|\(?\d+[.)])(?:\s|$)"
PAIR = r'"([^"\n]+)"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null)\s*(?=[,}\n])'
LABEL = r"\s*[\w -]{1,30}:(?!\w)"
ENDED = r".*[.!?。！？…][\"')*”」]*\s*"


def whole_pairs(text: str) -> str | None:
    """The pairs of a cut JSON object that stand whole and whose keys hold the answer, as an object;
    None for other replies.
    """
    if not re.match(r"\s*(?:```\w*\s*)?\{", text):
        return None
    keys = language()["answer"]["keys"]
    pairs = [(k, value) for k, value in re.findall(PAIR, text) if marks.plain_key(k) in keys]
    if len(dict(pairs)) < len(pairs):
        return "{}"  # rows of a list, of which more may come
    written = ", ".join(f'"{key}": {value}' for key, value in pairs)
    return f"{{{written}}}"


def ends_named(
    text: str, named: Sequence[Mention], classes: Sequence[ClassNames], is_marked: bool
) -> bool:
    """Whether a cut text is nothing but a letter, or ends with a class right behind a mark of the
    answer (or `is_marked` itself) that no other name goes on from; a reason may follow. `text` is
    from `mentions`.
    """
    marked = [*(part for part, _ in marks.headed(text)), *marks.concluded(text, "answers")]
    reason = rf"[.,;]?\s+(?:{'|'.join(language()['clause']['reasons'])})\b[^{MENTION[1:-1]}]*"
    bare = rf"[\s\"'(]*({MENTION}(?:[\s.:)-]*{MENTION})*)(?:[\s.:!\"')]*|{reason})"
    for part in (*marked, text):
        found = re.fullmatch(bare, part) if text.endswith(part) else None
        said = mentions_in(found[1], named) if found else []
        is_answer = is_marked or part in marked or (said and said[0].kind == LETTER)
        if is_answer and len({one.index for one in said}) == 1:
            return not _may_go_on(said[-1], classes)
    return False


def _may_go_on(mention: Mention, classes: Sequence[ClassNames]) -> bool:
    """Whether the name of another class begins with these words, as "T2a" with "T2", or its own."""
    begun = folded(mention.said).casefold()
    called = [{folded(name).casefold() for name in names.every} for names in classes]
    is_whole = begun in called[mention.index]
    return mention.kind != LETTER and any(
        name.startswith(begun)
        for index, names in enumerate(called)
        if index != mention.index or not is_whole
        for name in names
    )


def settled(text: str) -> str:
    """What stands before the sentence that a cut text leaves unfinished, and before a list that may
    go on but for the answers that are marked in it.
    """
    lines = text.splitlines(keepends=True)
    listed = 0
    if is_listing(text):
        item = rf"{ITEM}|\s|\(?[A-Z][.)](?:\s|$)"
        of_list = (re.match(item, line) is None for line in reversed(lines))
        listed = next((n for n, ends in enumerate(of_list) if ends), len(lines))
    whole = lines[: len(lines) - listed]
    whole += [line for line in lines[len(whole) : -1] if any(marks.headed(marks.plain(line)))]
    said = split_sentences("".join(whole))
    while said and not _is_whole(said[-1]):
        said.pop()
    return "".join(said)


def is_listing(text: str) -> bool:
    """Whether the last line of a text is an item of a list, or one of several under letters."""
    *_, before, last = "", "", *(line for line in text.splitlines() if line.strip())
    under_letters = all(re.match(r"\s*\(?[A-Z][.)](?:\s|$)", line) for line in (before, last))
    return under_letters or re.match(ITEM, last) is not None


def _is_whole(sentence: str) -> bool:
    """Whether a sentence has ended, by a stop or with its line."""
    hanging = r"(?:[:：,，、]|\b(?:vs|cf|e\.g|i\.e)\.)[\s*\"')]*$"
    if re.fullmatch(ITEM, sentence) or re.search(hanging, sentence):
        return False
    ended = re.fullmatch(ENDED, sentence, re.DOTALL) or sentence.endswith("\n")
    return bool(sentence.strip() and ended)


def goes_on(reply: str, rest: str) -> bool:
    """Whether what a cut reply says by the way may not be its answer yet: it goes step by step
    or by labels, or its unfinished `rest` begins a contrast or marks an answer that is lacking.
    """
    clause, answer = language()["clause"], language()["answer"]
    turns = "|".join((*clause["contrasts"], *clause["concessions"], *clause["hanging"]))
    awaited = "|".join((*answer["headings"], *answer["answers"], *answer["conclusions"]))
    steps = "|".join(language()["reasoning"]["steps"])
    return bool(
        (re.match(LABEL, rest) and re.match(LABEL, reply))
        or re.search(rf"(?i)(?<![a-z])(?:{turns})(?![a-z])", rest)
        or re.search(rf"(?im)(?:^|(?<=[.:!?。，,;]))\s*(?:the |my )?(?:{awaited})(?![a-z])", rest)
        or re.search(rf"(?im){steps}", reply)
    )
