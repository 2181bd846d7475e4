"""The part of a reply that counts: without reasoning, and where models mark their answers."""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from extract.replies.class_names import ClassNames
from extract.replies.language import MENTION, language
from extract.replies.spelling import folded

CUT = "cut inside its reasoning"
REACH = 600
"""Characters after a mark of an answer that are read for it."""
FLAGS = re.DOTALL | re.IGNORECASE | re.MULTILINE


def without_reasoning(reply: str) -> tuple[str | None, str]:
    """The reply after its reasoning, None where that never ends, and what was left out.

    A closing mark alone ends what the prompt opened. An answer element that ends the reply ends its
    reasoning too.
    """
    text = reply
    for start, end in language()["reasoning"]["marks"]:
        text = re.sub(rf"(?:{start}).*?(?:{end})", "\n", text, flags=FLAGS)
        closes = list(re.finditer(end, text, FLAGS))
        if closes:
            text = text[closes[-1].end() :]
        opens = re.search(start, text, FLAGS)
        if opens and not re.search(r"<answer>.+</answer>\s*\Z", text[opens.end() :], FLAGS):
            return None, CUT
    return text, "" if text == reply else "its reasoning is left out"


def left_open(prompt: str) -> str:
    """The reasoning mark that a prompt leaves open for the reply to go on in, or nothing."""
    for start, end in language()["reasoning"]["marks"]:
        opens = list(re.finditer(start, prompt, FLAGS))
        if opens and not re.search(end, prompt[opens[-1].end() :], FLAGS):
            return opens[-1][0]
    return ""


def reasons_aloud(text: str) -> bool:
    """Whether a reply thinks without marking it, so that only a marked answer counts."""
    return any(re.search(p, text, re.IGNORECASE) for p in language()["reasoning"]["aloud"])


def own_turn(text: str) -> str:
    """The reply up to where the model writes another speaker's turn."""
    for pattern in language()["answer"]["turns"]:
        for match in re.finditer(pattern, text, re.IGNORECASE | re.MULTILINE):
            if text[: match.start()].strip():
                text = text[: match.start()]
                break
    return text


def element(text: str) -> str | None:
    """The content of the last answer element or box that is not empty."""
    for pattern in language()["answer"]["elements"]:
        found = [f for f in re.findall(pattern, text, re.DOTALL | re.IGNORECASE) if f.strip()]
        if found:
            return str(found[-1])
    return None


def corrected(text: str) -> str:
    """What follows the last words of a reply that take back what stands before them."""
    taken_back = list(re.finditer(language()["answer"]["corrections"], text, re.IGNORECASE))
    return text[taken_back[-1].end() :] if taken_back else text


def plain(text: str) -> str:
    """A folded text without the marks of Markdown, LaTeX and HTML; rows of tables as "a: b"."""
    text = re.sub(r"(?m)^[ \t]*\|.*\n[ \t]*\|?[-: |]*-[-: |]*$", "", text)
    text = re.sub(r"(?m)^[ \t]*\|(.+)\|[ \t]*$", lambda row: row[1].replace("|", ": "), text)
    text = re.sub(r"\\(?:text|textbf|mathrm|mathbf|textit|boxed)\s*\{([^{}]*)\}", r"\1", text)
    for signs, said in language()["answer"]["ticks"].items():
        ticked = rf"(?m)^([^\n]*?)(?:{signs})([^\n]*)$"
        text = re.sub(ticked, rf"\1\2: {said}", text)
    text = re.sub(r"(?s)~~.*?~~|<(del|strike)>.*?</\1>", " ", text)
    text = re.sub("=>|->|→|⇒|➜", ": ", text)
    text = re.sub(language()["answer"]["specials"], " ", text)
    text = re.sub(
        r"</?(?:b|i|em|strong|p|br|u|ul|li|span|answer|s)\s*/?>", " ", text, flags=re.IGNORECASE
    )
    text = re.sub(r"(?s)<(\w+)>(.*?)</\1>", r" \2 ", text)
    text = re.sub(r"<(?:image|img|loc\d+|seg\d+)>", " ", text)
    text = re.sub(r"(?m)^\s*(?:[-•*+–]|#+)\s+", "", text)
    text = text.replace("**", "").replace("__", " ").replace("*", "").replace("_", " ")
    text = re.sub(r"(?m)^\s*>\s(?=\D)", "", text)
    return folded(re.sub('["“”„«»「」『』$]', " ", text))


def bold(text: str) -> list[str]:
    """What a reply sets in bold."""
    return re.findall(r"\*\*([^*\n]+)\*\*", text)


def json_answer(text: str, classes: Sequence[ClassNames]) -> tuple[str, str] | None:
    """The answer that a JSON reply holds, as text, and where it stood; None for other replies."""
    found = _parsed(text)
    if isinstance(found, list) and all(isinstance(part, dict) for part in found):
        found = _scored(found)
    if not isinstance(found, dict) or not found:
        return None
    called = {folded(name).casefold() for names in classes for name in names.every}
    values = dict(_flat(found, called))
    keys = language()["answer"]["keys"]
    holding = [
        (keys.index(key), name, value)
        for name, value in values.items()
        if (key := plain_key(name)) in keys
        if isinstance(value, str) or (isinstance(value, int) and str(value) in called)
    ]
    if holding:
        _, name, value = min(holding, key=lambda held: held[0])
        return str(value), f"the JSON key {name!r} is read"
    numbers = {k: n for k, v in values.items() if (n := _number(v)) is not None}
    about = (
        rf"^(?:{language()['answer']['amounts']}) (?:of )?| (?:{language()['answer']['amounts']})$"
    )
    of = {k: re.sub(about, "", folded(k).replace("_", " ").casefold()) for k in numbers}
    chosen = {of[k]: v for k, v in numbers.items() if of[k] in called}
    if len(chosen) > 1 and list(chosen.values()).count(max(chosen.values())) == 1:
        return max(chosen, key=chosen.__getitem__), "the largest of the JSON's numbers counts"
    return "\n".join(f"{k}: {v}." for k, v in values.items()), "the JSON is read line by line"


def plain_key(name: str) -> str:
    """A key of JSON as the data has it: in small letters, with `_` between words."""
    return name.casefold().replace(" ", "_").replace("-", "_")


def _number(value: Any) -> float | None:
    """A number, also one written as text with or without a percent sign."""
    if isinstance(value, str) and re.fullmatch(r"\s*\d+(?:\.\d+)?\s*%?\s*", value):
        return float(value.strip(" %"))
    return value if isinstance(value, int | float) else None


def _parsed(text: str) -> Any:
    inside = re.search(r"\[\s*\{.*\}\s*\]|\{.*\}", text, re.DOTALL)
    if inside is None:
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            return read(inside[0])
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    return None


def _scored(rows: list[dict[Any, Any]]) -> dict[Any, Any]:
    """Rows of a name and a number each as one mapping; other rows one after the other."""
    found: dict[Any, Any] = {}
    for at, row in enumerate(rows):
        names = [v for v in row.values() if isinstance(v, str)]
        numbers = [v for v in row.values() if isinstance(v, int | float)]
        found |= {names[0]: numbers[0]} if len(names) == len(numbers) == 1 else {at: row}
    return found


def _flat(values: dict[Any, Any], called: set[str]) -> Iterator[tuple[str, Any]]:
    """Keys and values of all depths; what is said under the name of a class is said of it."""
    for key, value in values.items():
        if isinstance(value, dict):
            of = f"{key} " if folded(str(key)).replace("_", " ").casefold() in called else ""
            yield from ((f"{of}{name}", held) for name, held in _flat(value, called))
        elif isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            yield from _flat(_scored(value), called)
        elif isinstance(value, list):
            yield str(key), ", ".join(map(str, value))
        else:
            yield str(key), value


def headed(text: str) -> Iterator[tuple[str, str]]:
    """What follows every heading of an answer, the last first, and of that the numbered findings
    that count together, as in the impression of a report; `text` is from `mentions`.
    """
    heads = "|".join(language()["answer"]["headings"])
    ends = rf"[:：=]|[ ]-[ ]|\n|\.(?=\s)|(?=\s+{MENTION}\s*(?:\n|$))"
    pattern = (
        rf"(?:^|(?<=[\n.;:!?。，,]))[ \t\d.)(]*(?:the |my )?(?:{heads})\s*(?:is\s*)?(?:{ends})"
    )
    for match in reversed(list(re.finditer(pattern, text, re.IGNORECASE))):
        part = text[match.end() :][:REACH]
        together = re.search(rf"(?i){language()['answer']['together']}", match[0])
        listed = re.match(r"\s*1[.)] .*(?:\n\s*\d[.)] .*)+", part) if together else None
        yield part, listed[0] if listed else ""


def concluded(text: str, by: str) -> Iterator[str]:
    """What follows words that conclude (`answers` or `conclusions` of the data), the last first."""
    words = "|".join(language()["answer"][by])
    pattern = rf"(?:^|(?<=[\s,;.!?:。，、；]))(?:{words})(?![A-Za-z])[ ,，:]*"
    for match in reversed(list(re.finditer(pattern, text, re.IGNORECASE))):
        yield text[match.end() :][:REACH]
