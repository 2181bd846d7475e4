"""Records: what a file says of one sample, by what its columns mean."""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from extract.answers.columns import Columns, value_at
from extract.datasets import LabelTable, text as cell_text
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import LENGTH, STOP

FAILED = re.compile(
    r"\s*(?:Failed to obtain answer via API\.?|\[?(?:API )?ERROR\]?(?::.*)?|Error code: \d{3}\b.*"
    r"|(?:Request timed out|Connection error)\.)\s*",
    re.IGNORECASE | re.DOTALL,
)
"""What harnesses write where a model gave no reply."""

FINISHES = {
    "stop": STOP,
    "eos": STOP,
    "eos_token": STOP,
    "end_turn": STOP,
    "stop_sequence": STOP,
    "length": LENGTH,
    "max_tokens": LENGTH,
    "max_length": LENGTH,
    "max_output_tokens": LENGTH,
    "max_new_tokens": LENGTH,
}
"""Why a reply ended, in the words of the APIs."""


@dataclass(frozen=True)
class Record:
    """What a file says of one sample; `replies` are several where a model was asked several times,
    and none where the harness has none. `options` are those that the question listed, in order.
    """

    place: str
    sample: str
    replies: tuple[str, ...] = ()
    label: Any = None
    options: tuple[str, ...] = ()
    question: str = ""
    scores: Mapping[str, float] | tuple[float, ...] | None = None
    finish: str | None = None
    n_tokens: int | None = None


def records(table: LabelTable, columns: Columns) -> Iterator[Record]:
    """Every row of a table as a record. A cell of a CSV file cannot say that a reply was empty."""
    is_text = table.path.suffix.lower() in (".csv", ".tsv")
    for index, row in enumerate(table.rows):
        place = table.place(index)
        found = {role: value_at(row, name) for role, name in columns.by_role.items()}
        said = found.get("reply")
        if is_text and said in ("", "nan", "NaN"):
            said = None
        if columns.by_role.get("reply") == "resps" and "resps" not in row:
            said = row.get("filtered_resps")  # lmms-eval leaves out what no filter changed
        options = _options(found.get("options")) or tuple(
            cell_text(row.get(name))
            for _, name in sorted(columns.lettered.items())
            if cell_text(row.get(name))
        )
        likelihoods = _likelihoods(said)
        if likelihoods:
            options = options or _continuations(value_at(row, "arguments"))
        yield Record(
            place=place,
            sample=_sample(found.get("sample"), place),
            replies=() if likelihoods else _replies(said, place),
            label=found.get("label"),
            options=options,
            question=_question(found.get("question")),
            scores=likelihoods or _scores(row, found.get("scores"), columns, place),
            finish=FINISHES.get(_end(row, columns)),
            n_tokens=_count(found.get("tokens")),
        )


def strange_ends(table: LabelTable, columns: Columns) -> Counter[str]:
    """What rows say of why their replies ended that is none of `FINISHES`, with how many do."""
    said = Counter(_end(row, columns) for row in table.rows)
    return Counter({end: n for end, n in said.items() if end and end not in FINISHES})


def _end(row: Mapping[str, Any], columns: Columns) -> str:
    """Why a reply ended as APIs write it, without the name of a type that Python puts before it."""
    said = (cell_text(value_at(row, name)) for name in columns.ends)
    return next(filter(None, said), "").casefold().rpartition(".")[2]


def _sample(value: Any, place: str) -> str:
    if isinstance(value, dict):  # an image of Hugging Face datasets
        value = value.get("path") or value.get("file_name")
    if isinstance(value, list) and len(value) == 1:
        return _sample(value[0], place)
    if isinstance(value, list) and value:
        raise LayerhouseError(
            f"{place} names {len(value)} images; a reply to several is no answer to one of them"
        )
    name = cell_text(value)
    if not name:
        raise LayerhouseError(f"{place} names no sample; fill it in, or leave the row out")
    return name


def _replies(value: Any, place: str) -> tuple[str, ...]:
    """The different replies in a cell, in whatever lists they lie; none for what is no reply."""
    if isinstance(value, dict):
        shown = ", ".join(map(repr, list(value)[:4]))
        raise LayerhouseError(
            f"{place} has an object for a reply ({shown}); name the text in it with --column "
            "reply=…, by a dotted name"
        )
    if isinstance(value, list):
        found = [text for part in value for text in _replies(part, place)]
        return tuple(dict.fromkeys(found))
    if value is None or value != value:
        return ()
    text = value if isinstance(value, str) else cell_text(value)
    return () if FAILED.fullmatch(text) else (text,)


def _likelihoods(value: Any) -> tuple[float, ...] | None:
    """Log-likelihoods of the options, which lm-eval keeps as (number, whether it is greedy)."""
    if not isinstance(value, list) or not value:
        return None
    pair = _pair(value)
    if pair is not None:
        return (pair,)
    inner = [_likelihoods(part) for part in value]
    if any(part is None for part in inner):
        return None
    return tuple(score for part in inner if part for score in part)


def _pair(value: list[Any]) -> float | None:
    if len(value) != 2 or str(value[1]) not in ("True", "False"):
        return None
    try:
        return float(value[0])
    except (TypeError, ValueError):
        return None


def _continuations(arguments: Any) -> tuple[str, ...]:
    """The options that lm-eval scored, each the second argument of a request."""
    if isinstance(arguments, dict):
        arguments = [a.values() if isinstance(a, dict) else a for a in arguments.values()]
    if not isinstance(arguments, list):
        return ()
    parts = [list(a) for a in arguments if not isinstance(a, str)]
    texts = [p[1] for p in parts if len(p) > 1 and isinstance(p[1], str)]
    return tuple(text.strip() for text in texts)


def _options(value: Any) -> tuple[str, ...]:
    """The options of a question, without the letters before them."""
    if isinstance(value, str) and value[:1] in "[{(" and value:
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return ()
    if isinstance(value, dict):
        value = value.get("text") or [value[key] for key in sorted(value)]
    if not isinstance(value, list | tuple):
        return ()
    return tuple(re.sub(r"^\(?[A-Z][.):]\s*", "", cell_text(v)) for v in value if cell_text(v))


def _question(value: Any) -> str:
    """A question's text, from whatever a harness keeps of it."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "\n".join(map(_question, value.values()))
    if isinstance(value, list):
        return "\n".join(map(_question, value))
    return ""


def _scores(
    row: Mapping[str, Any], value: Any, columns: Columns, place: str
) -> Mapping[str, float] | tuple[float, ...] | None:
    if columns.scored:
        value = {of: row.get(name) for of, name in columns.scored.items()}
        if not any(cell_text(score) for score in value.values()):
            return None
    if isinstance(value, str) and value[:1] in "[{" and value:
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            raise LayerhouseError(f"the scores in {place} are no list or object") from None
    if isinstance(value, dict):
        return {str(of): _number(score, place) for of, score in value.items()}
    if isinstance(value, list) and value:
        return tuple(_number(score, place) for score in value)
    return None


def _number(value: Any, place: str) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise LayerhouseError(
            f"{place} has {value!r} for a score; every class needs a finite number"
        )
    return found


def _count(value: Any) -> int | None:
    text = cell_text(value)
    return int(text) if text.isdecimal() and int(text) > 0 else None
