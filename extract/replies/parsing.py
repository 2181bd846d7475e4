"""Reading a class out of what a model wrote; docs/method.md says by which rules."""

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import lru_cache
from string import ascii_uppercase

from extract.replies import cutting, marks
from extract.replies.class_names import (
    HEAD,
    LETTER,
    TERSE,
    WORDED,
    ClassNames,
    is_absence,
    opposite,
)
from extract.replies.cues import split_sentences
from extract.replies.framing import unframed
from extract.replies.language import simpler
from extract.replies.mentions import Mention, mentions, mentions_in
from extract.replies.polarity import ASIDE, CLAIMS, DENIED, GENERAL, MAYBE, Statement
from extract.replies.readings import Reading, begun, largest_share, of_the_whole
from extract.replies.spelling import is_terse
from extract.replies.statements import statements


def parse_reply(
    reply: str, classes: Sequence[ClassNames], *, letters: bool = False, cut: bool = False
) -> int | None:
    """The index of the one class a reply names, or None."""
    return read_reply(reply, classes, letters=letters, cut=cut).index


def read_reply(
    reply: str, classes: Sequence[ClassNames], *, letters: bool = False, cut: bool = False
) -> Reading:
    """The one class a reply names.

    The reply begins with the reasoning mark that its prompt left open, if any (`left_open`).
    `letters`: the question listed the classes under letters. `cut`: the budget of new tokens ended
    the reply, so only what it had decided by then counts.
    """
    return _read(reply, tuple(classes), letters, cut)


@lru_cache(maxsize=1024)  # a model says the same of many images
def _read(reply: str, classes: tuple[ClassNames, ...], letters: bool, cut: bool) -> Reading:
    text, left_out = marks.without_reasoning(simpler(reply))
    if text is None:
        return Reading(None, left_out)
    own, reader = marks.own_turn(text), _Reader(unframed(classes), letters)
    reading = reader.decided(own) if cut and own == text else reader.answered(own)
    if reading.index is None and not cut:
        reading = _word_for_word(own, classes) or reading
    return replace(reading, why="; ".join(filter(None, (left_out, reading.why))))


def names_in(reply: str, classes: Sequence[ClassNames], *, letters: bool) -> list[Mention]:
    """Where a reply names classes in the part of it that counts, in order."""
    text, _ = marks.without_reasoning(reply)
    if text is None:
        return []
    return mentions_in(*_Reader(unframed(tuple(classes)), letters).named(text))


def _word_for_word(text: str, classes: Sequence[ClassNames]) -> Reading | None:
    """The one class whose name is all that is said, whatever marks the name holds; numbers and
    letters may stand for something else."""
    said = text.strip().casefold()
    known = [{simpler(name) for name in names.every} for names in classes]
    named = [
        index
        for index, names in enumerate(known)
        if said in {name.strip().casefold() for name in names if not is_terse(name)}
    ]
    return Reading(named[0], "it is the name of the class", firm=True) if len(named) == 1 else None


UNDECIDED = Reading(None, "cut before it had answered")
HEADING, ANSWER, CONCLUSION = (
    "what stands under the answer's heading",
    "what is called the answer",
    "the conclusion",
)
BOLD, OPENING = "what is bold", "the opening"


OTHER = r"[^\W\U000f0000-\U000ffffd]|[?？]"
"""What a text that is only a class' name does not have."""


@dataclass(frozen=True)
class _Reader:
    """Reads replies about these classes; `letters`: the question listed them under letters."""

    classes: tuple[ClassNames, ...]
    letters: bool

    def named(self, text: str) -> tuple[str, list[Mention]]:
        """A text with its mentions of classes marked, and these, as `mentions` gives them."""
        return mentions(marks.plain(text), self.classes, letters=self.letters)

    def decided(self, reply: str, *, is_marked: bool = False) -> Reading:
        """The reading of a reply that was cut: by a marked answer that stands whole, else by whole
        sentences that say more than what is possible, where nothing after them turns or takes it
        back.
        """
        inside = marks.element(reply)
        if inside is not None and reply.endswith(inside):
            return self.decided(inside, is_marked=True)
        if inside is not None or marks.json_answer(reply, self.classes) is not None:
            return self.answered(reply)
        if (pairs := cutting.whole_pairs(reply)) is not None:
            held = marks.json_answer(pairs, self.classes)
            return self.answered(pairs) if held else UNDECIDED
        reading = self.answered(reply)
        if reading.index is None:
            return reading
        text, named = self.named(reply)
        ends = cutting.ends_named(text, named, self.classes, is_marked)
        if ends and not cutting.is_listing(reply):
            return reading
        part = cutting.settled(reply)
        before = self.answered(part)
        is_marked = is_marked or before.mark in (HEADING, ANSWER)
        is_open = not is_marked and cutting.goes_on(reply, marks.plain(reply[len(part) :]))
        if not before.firm or before.index != reading.index or is_open:
            return UNDECIDED
        return before

    def answered(self, reply: str) -> Reading:
        """The reading of the part of a reply that is marked as its answer, else of all of it."""
        inside = marks.element(reply)
        if inside is not None:
            reading = self.answered(inside)
            return replace(reading, why=f"only the marked {inside.strip()!r} counts; {reading.why}")
        held = marks.json_answer(reply, self.classes)
        if held is not None:
            reply, found_in = held
            text, named = self.named(reply)
            reading = decide(_flat(statements(text, named)), self.classes)
            return replace(reading, why=f"{found_in}; {reading.why}")
        rest = marks.corrected(reply)
        if rest != reply and self.named(rest)[1]:
            reading = self.answered(rest)
            return replace(reading, why=f"only what follows a correction counts; {reading.why}")
        text, named = self.named(reply)
        for mark, said in self._marked(reply, text, named):
            if mark not in (HEADING, ANSWER) and marks.reasons_aloud(reply):
                return Reading(None, "it reasons aloud and marks no answer")
            reading = decide(said, self.classes)
            if reading.index is not None or mark == HEADING:
                return replace(reading, why=f"{mark} counts; {reading.why}", mark=mark)
        if marks.reasons_aloud(reply):
            return Reading(None, "it reasons aloud and marks no answer")
        share = largest_share(text, named)
        if share is not None:
            return share
        whole = None if named else begun(text, self.classes) or of_the_whole(text, self.classes)
        if whole is not None:
            return whole
        return decide(_flat(statements(text, named)), self.classes)

    def _marked(
        self, reply: str, text: str, named: list[Mention]
    ) -> Iterator[tuple[str, list[Statement]]]:
        """What is said where a reply marks its answer, the strongest mark first."""
        for part, listed in marks.headed(text):
            said = statements(listed or part, named)
            if listed and said:
                yield HEADING, _flat(said)
            elif said:
                claims = (n for n, s in enumerate(said, 1) if any(one.said in CLAIMS for one in s))
                yield HEADING, _flat(said[: next(claims, len(said))])
        for mark, by in ((ANSWER, "answers"), (CONCLUSION, "conclusions")):
            for part in marks.concluded(text, by):
                sentence = next((s for s in split_sentences(part) if s.strip()), "")
                yield mark, _flat(statements(sentence, named))
        in_bold = [self.named(b) for b in marks.bold(reply)]
        only = [(t, m) for t, m in in_bold if m and not re.search(OTHER, t)]
        if only:
            yield BOLD, _flat([s for t, m in only for s in statements(t, m)])
        bare = [s for s in split_sentences(text) if s.strip() and not re.search(OTHER, s)]
        opening = next((s for s in split_sentences(text) if s.strip()), "")
        if (
            bare[:1] == [opening]
            and len({s.mention.index for b in bare for s in _flat(statements(b, named))}) == 1
        ):
            yield OPENING, _flat(statements(opening, named))


def lists_letters(question: str, phrases: Sequence[str]) -> bool:
    """Whether a question offers every class under its letter, as in "A. benign B. malignant"."""
    return listed_order(question, phrases) == tuple(range(len(phrases)))


def listed_order(
    question: str, phrases: Sequence[str], marks: Sequence[str] = ascii_uppercase
) -> tuple[int, ...] | None:
    """The classes that A, B, … stand for in a question, or other marks; None unless it lists every
    one once.
    """
    if not 0 < len(phrases) <= len(marks):
        return None
    order = []
    for mark in marks[: len(phrases)]:
        listed = [
            (len(phrase), index)
            for index, phrase in enumerate(phrases)
            if re.search(rf"(?<!\w)\(?{mark}[.):]\s*{re.escape(phrase)}(?!\w)", question)
        ]
        order += [index for _, index in sorted(listed)[-1:]]
    return tuple(order) if sorted(order) == list(range(len(phrases))) else None


def _flat(sentences: list[list[Statement]]) -> list[Statement]:
    return [statement for sentence in sentences for statement in sentence]


def decide(said: Sequence[Statement], classes: Sequence[ClassNames]) -> Reading:
    """The one class claimed; else, by names before numbers before letters, what denials leave."""
    claimed = {s.mention.index for s in said if s.said in CLAIMS and s.mention.kind != HEAD}
    said = [s for s in said if s.mention.kind != HEAD or _is_all_denied(s, claimed)]
    said = _without_parts(_of_this_image(said), classes)
    if not said:
        return Reading(None, "it names no class")
    kinds = (WORDED, TERSE, LETTER)
    read = [r for k in kinds if (r := _claimed([s for s in said if s.mention.kind == k]))]
    if not read:
        return _left(said, classes)
    first, last = read[0], read[-1]
    if None not in (first.index, last.index) and first.index != last.index:
        return Reading(None, f"{first.why}, but {last.why}")
    return first


def _is_all_denied(head: Statement, claimed: Set[int]) -> bool:
    """Whether a last word denies its class: not that of a class which is claimed by its name."""
    return head.said == DENIED and head.mention.index not in claimed


def _of_this_image(said: Sequence[Statement]) -> list[Statement]:
    """What is said of a class in general may be said of the image, if no other is compared with."""
    talked = {s.mention.index for s in said if s.said in (ASIDE, GENERAL)}
    meant = MAYBE if len(talked) == 1 else ASIDE
    return [replace(s, said=meant) if s.said == GENERAL else s for s in said]


def _without_parts(said: list[Statement], classes: Sequence[ClassNames]) -> list[Statement]:
    """What is said of the image: that a part of it is normal is only possible of all of it, and
    nothing beside what is claimed.
    """

    def is_of_a_part(s: Statement) -> bool:
        is_said = bool(s.part or s.place) and s.said in CLAIMS
        return is_said and is_absence(classes[s.mention.index].phrase)

    if any(s.said in CLAIMS and not is_of_a_part(s) for s in said):
        return [s for s in said if not is_of_a_part(s)]
    return [replace(s, said=MAYBE, cue=s.part or s.place) if is_of_a_part(s) else s for s in said]


def _claimed(said: list[Statement]) -> Reading | None:
    """The one class of the strongest claims, None where no class is claimed."""
    denied = [s for s in said if s.said == DENIED]
    for claim in CLAIMS:
        found = {s.mention.index: s for s in said if s.said == claim}
        if len(found) > 1:
            names = " and ".join(repr(s.mention.said) for s in found.values())
            return Reading(None, f"{names} are both {claim}")
        if found:
            index, statement = found.popitem()
            if any(s.mention.index == index and _is_of(s, statement) for s in denied):
                return Reading(None, f"{statement.mention.said!r} is both {claim} and denied")
            by = f" by {statement.cue.strip()!r}" if statement.cue.strip() else ""
            why = f"{statement.mention.said!r} is {claim}{by}"
            return Reading(index, why, firm=claim != MAYBE)
    return None


def _is_of(denial: Statement, claim: Statement) -> bool:
    """Whether a denial speaks of where a claim does: of one place, there may be it in another."""
    return not denial.place or denial.place == claim.place


def _left(said: Sequence[Statement], classes: Sequence[ClassNames]) -> Reading:
    """What denials leave: the opposite by name, the other of two, the class of nothing wrong."""
    denials = {s.mention.index: s for s in said if s.said == DENIED}
    is_whole = not any(s.place for s in denials.values())
    why = "; ".join(
        dict.fromkeys(f"{s.mention.said!r} is {s.said} by {s.cue.strip()!r}" for s in said)
    )
    meant = {o for index in denials if (o := opposite(index, classes)) is not None}
    if len(meant - set(denials)) == 1:
        index = (meant - set(denials)).pop()
        return Reading(index, f"{why}, so its opposite is meant", firm=is_whole)
    left = [index for index in range(len(classes)) if index not in denials]
    if len(left) == 1 and denials:
        if len(classes) == 2:
            why += ", which leaves the other of two classes"
            return Reading(left[0], why, firm=is_whole)
        if is_absence(classes[left[0]].phrase):
            why += ", which leaves the class of nothing wrong"
            return Reading(left[0], why, firm=True)
    return Reading(None, why)
