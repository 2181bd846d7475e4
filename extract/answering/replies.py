"""Reading a class out of what a model wrote.

The rules, in order:

1. Reasoning between `<think>` and `</think>` is dropped; if there is an `<answer>` element, only
   its content counts.
2. Case, punctuation and spacing do not matter; `_` and `-` are spaces. Where classes differ in
   signs alone (ER+ and ER-, <5 mm and >5 mm), those signs count.
3. A class is mentioned where its phrase or its label occurs as whole words. Where one mention lies
   within a longer one ("pneumonia" in "no pneumonia"), only the longer counts.
4. Exactly one class mentioned: that is the answer, however often it is said. Several: not parsed.
5. None mentioned and the prompt listed the classes under letters: a reply that is a letter, or that
   names exactly one as "(B)", "B.", "B:" or "option B".
6. Anything else is not parsed. Nothing is guessed.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class ClassNames:
    """How a class may be called in a reply."""

    label: str
    phrase: str


def parse_reply(reply: str, classes: Sequence[ClassNames], *, letters: bool = False) -> int | None:
    """The index of the one class a reply names, or None."""
    text = _final_part(reply)
    words = _signed if _differ_in_signs(classes) else normalise
    mentioned = _mentioned(words(text).split(), classes, words)
    if len(mentioned) == 1:
        return mentioned.pop()
    if mentioned or not letters:
        return None
    return _lettered(text, len(classes))


def lists_letters(question: str, phrases: Sequence[str]) -> bool:
    """Whether a question offers every class under its letter, as in "A. benign B. malignant"."""
    if not 0 < len(phrases) <= len(LETTERS):
        return False
    return all(
        re.search(rf"(?<!\w)\(?{letter}[.):]\s*{re.escape(phrase)}(?!\w)", question)
        for letter, phrase in zip(LETTERS, phrases, strict=False)
    )


def normalise(text: str) -> str:
    """Lower-case words separated by single spaces; everything else is gone."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    # A combining mark belongs to the letter before it; all other signs separate words.
    kept = (c if c.isalnum() or unicodedata.category(c).startswith("M") else " " for c in folded)
    return " ".join("".join(kept).split())


def _differ_in_signs(classes: Sequence[ClassNames]) -> bool:
    plain = [normalise(names.phrase) for names in classes]
    return len(set(plain)) < len(plain)


def _signed(text: str) -> str:
    """As `normalise`, with the signs that say something as words of their own.

    A hyphen is one where it does not join two words: behind one, or before a number.
    """
    folded = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    marked = re.sub(r"(?<=[\w(])-(?!\w)|(?<![\w)])-(?=\d)", " minus ", folded)
    for sign, word in {"+": "plus", "±": "plusminus", "<": "less", ">": "more"}.items():
        marked = marked.replace(sign, f" {word} ")
    for sign, word in {"≤": "atmost", "≥": "atleast", "=": "equals", "~": "about"}.items():
        marked = marked.replace(sign, f" {word} ")
    return normalise(marked)


def left_open(prompt: str) -> str:
    """The reasoning mark that a prompt leaves open for the reply to go on in, or nothing."""
    marks = re.findall(r"</?think>", prompt, flags=re.IGNORECASE)
    return str(marks[-1]) if marks and not marks[-1].startswith("</") else ""


def _final_part(reply: str) -> str:
    text = re.sub(r"<think>.*?(</think>|\Z)", " ", reply, flags=re.DOTALL | re.IGNORECASE)
    answers = re.findall(r"<answer>(.*?)(?:</answer>|\Z)", text, flags=re.DOTALL | re.IGNORECASE)
    return str(answers[-1]) if answers else text


def _mentioned(
    words: list[str], classes: Sequence[ClassNames], read: Callable[[str], str] = normalise
) -> set[int]:
    spans = [
        (start, start + len(name), index)
        for index, names in enumerate(classes)
        for name in _names(names, read)
        for start in range(len(words) - len(name) + 1)
        if words[start : start + len(name)] == name
    ]

    def swallowed(start: int, stop: int) -> bool:
        return any(
            other <= start and stop <= end and end - other > stop - start for other, end, _ in spans
        )

    return {index for start, stop, index in spans if not swallowed(start, stop)}


def _names(names: ClassNames, read: Callable[[str], str]) -> list[list[str]]:
    found = [read(names.phrase).split(), read(names.label).split()]
    return [name for name in found if name]


def _lettered(text: str, n: int) -> int | None:
    allowed = LETTERS[:n]
    bare = text.strip().strip("().:").strip()
    if len(bare) == 1 and bare.upper() in allowed:
        return allowed.index(bare.upper())
    pattern = rf"\(([{allowed}])\)|(?<!\w)([{allowed}])[.):](?!\w)|\b[Oo]ption ([{allowed}])\b"
    found = {"".join(groups) for groups in re.findall(pattern, text)}
    return allowed.index(found.pop()) if len(found) == 1 else None
