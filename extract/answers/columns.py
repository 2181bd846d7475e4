"""Columns: which of a file's columns, and what deeper in objects and lists, means what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from extract.datasets import LabelTable
from warehouse.errors import LayerhouseError, UsageError, nearest

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
        name.count(".") > 1 and any(value_at(row, name) is not None for row in rows)
    )


def value_at(row: Mapping[str, Any], name: str) -> Any:
    """What a row holds by a name, whose points lead into objects and, by number, into lists."""
    if name in row or "." not in name:
        return row.get(name)
    outer, inner = name.split(".", 1)
    held = row.get(outer)
    if isinstance(held, dict) and inner in held:  # whose own names may have points, too
        return held[inner]
    for part in inner.split("."):
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
