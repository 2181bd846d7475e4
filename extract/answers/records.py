"""Records: what a file says of one sample, by what its columns mean."""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from extract.datasets import LabelTable, text as cell_text
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.vocabulary import LENGTH, STOP

ROLES: dict[str, tuple[str, ...]] = {
    "sample": (
        *("sample_id", "custom_id", "image_path", "image_file", "img_path", "file_name"),
        *("filename", "file_path", "file", "path", "image", "img", "images", "image_id", "id"),
        *("question_id", "doc_id", "index"),
    ),
    "reply": (
        *("response.body.choices.0.message.content", "result.message.content.0.text"),
        *("reply", "response", "resps", "prediction", "filtered_resps", "raw_output"),
        *("model_output", "model_answer", "generated_text", "completion", "output", "pred", "text"),
    ),
    "label": (
        *("label", "target", "gt_answer", "ground_truth", "groundtruth", "gt", "gold"),
        *("correct_answer", "answer"),
    ),
    "options": ("options", "choices"),
    "question": ("question", "prompt", "input", "arguments"),
    "scores": ("scores", "label_logprobs", "logprobs"),
    "finish": (
        *("finish_reason", "finishReason", "stop_reason", "done_reason"),
        *("response.body.choices.0.finish_reason", "result.message.stop_reason"),
    ),
    "tokens": (
        *("n_tokens", "completion_tokens"),
        *("response.body.usage.completion_tokens", "result.message.usage.output_tokens"),
    ),
}
"""Usual names of the columns by what they mean, the surest first. Points lead into objects and
lists, as those of the batches of OpenAI and Anthropic.
"""

INSIDE = ("", "doc.", "messages.", "metadata.")
"""Where harnesses keep what they were told of a sample: beside the reply, or in an object there."""

SCORE = re.compile(r"scores?:\s*(.+)")
"""A column that is one class' score, as in `score:benign`."""
LETTERED = re.compile(r"(?:option_)?([A-Z])")
"""A column that is one option of the question, as A, B, … or option_A, option_B, …."""

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


@dataclass(frozen=True)
class Columns:
    """A table's columns by meaning: `lettered`, `scored` and `ends` are several of one each.

    Files of several APIs say why a reply ended in several columns, and each row in one of them.
    """

    by_role: Mapping[str, str]
    lettered: Mapping[str, str] = field(default_factory=dict)
    scored: Mapping[str, str] = field(default_factory=dict)
    ends: tuple[str, ...] = ()

    def said(self) -> str:
        """Which columns were read, in words."""
        named = [f"{role} from {name}" for role, name in self.by_role.items()]
        several = (("options", self.lettered), ("scores", self.scored))
        named += [f"{role} from {', '.join(c.values())}" for role, c in several if c]
        return ", ".join(named)


def find_columns(table: LabelTable, given: Mapping[str, str]) -> Columns:
    """The columns that are meant: as a person names them, else by their usual names.

    UsageError for a role or column that there is not, LayerhouseError where none is a sample's
    name, or neither a reply nor scores are there.
    """
    known = _names(table.rows)
    by_role: dict[str, str] = {}
    for role, name in given.items():
        if role not in ROLES:
            raise UsageError(f"--column {role}=… names nothing that is read{nearest(role, ROLES)}")
        if name != "none" and not _is_there(name, known, table.rows):
            raise UsageError(f"{table.path} has no column {name!r}{nearest(name, known)}")
        by_role[role] = name
    for role, usual in ROLES.items():
        taken = set(by_role.values())
        inside = (place + name for name in usual for place in INSIDE)
        there = (name for name in inside if _is_there(name, known, table.rows))
        found = next((name for name in there if name not in taken), None)
        if role not in given and found is not None:
            by_role[role] = found
    by_role = {role: name for role, name in by_role.items() if name != "none"}
    lettered = {} if "options" in by_role else _columns_of(LETTERED, known)
    ends = [place + name for name in ROLES["finish"] for place in INSIDE]
    if "finish" in given:
        ends = [given["finish"]]
    columns = Columns(by_role, lettered, _columns_of(SCORE, known), tuple(ends))
    shown = ", ".join(list(known)[:12])
    if "sample" not in by_role:
        raise LayerhouseError(
            f"{table.path} names no samples; say which of its columns does (a sample's id or file "
            f"name) with --column sample=…; its columns are {shown}"
        )
    if not by_role.keys() & {"reply", "scores"} and not columns.scored:
        raise LayerhouseError(
            f"{table.path} has no replies; say which of its columns holds them with --column "
            f"reply=… (messages.-1.content: that of the last of a list); its columns are {shown}"
        )
    return columns


def records(table: LabelTable, columns: Columns) -> Iterator[Record]:
    """Every row of a table as a record. A cell of a CSV file cannot say that a reply was empty."""
    is_text = table.path.suffix.lower() in (".csv", ".tsv")
    for index, row in enumerate(table.rows):
        place = table.place(index)
        found = {role: _value(row, name) for role, name in columns.by_role.items()}
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
            options = options or _continuations(_value(row, "arguments"))
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
    said = (cell_text(_value(row, name)) for name in columns.ends)
    return next(filter(None, said), "").casefold().rpartition(".")[2]


def _names(rows: Sequence[Mapping[str, Any]]) -> dict[str, None]:
    """All columns, those inside of objects by dotted names."""
    names: dict[str, None] = {}
    for row in rows:
        for name, value in row.items():
            names[name] = None
            if isinstance(value, dict):
                names |= dict.fromkeys(f"{name}.{inner}" for inner in value)
    return names


def _is_there(name: str, known: Mapping[str, None], rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a column has that name, or a row holds something deeper in an object or a list."""
    return name in known or (
        name.count(".") > 1 and any(_value(row, name) is not None for row in rows)
    )


def _value(row: Mapping[str, Any], name: str) -> Any:
    """What a row holds by a name, whose points lead into objects and, by number, into lists."""
    if name in row or "." not in name:
        return row.get(name)
    held: Any = row
    for part in name.split("."):
        if isinstance(held, list) and re.fullmatch(r"-?\d+", part):
            place = int(part)
            held = held[place] if -len(held) <= place < len(held) else None
        else:
            held = held.get(part) if isinstance(held, dict) else None
    return held


def _columns_of(pattern: re.Pattern[str], known: Mapping[str, None]) -> dict[str, str]:
    """Columns of which there is one for each option or class, by what they are of."""
    found = {match[1]: name for name in known if (match := pattern.fullmatch(name))}
    return found if len(found) > 1 else {}


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
