"""Exporting: stored answers as a file that other programs, and an import, can read."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from warehouse.catalogue import ClassRow, connect, dataset, require_known
from warehouse.errors import UsageError, nearest
from warehouse.files import telling_unwritable, write_at_once
from warehouse.lake import Lake

if TYPE_CHECKING:
    from extract.answers.stored import StoredReplies

WRITERS: dict[str, Callable[[Iterable[Mapping[str, Any]], IO[str]], None]] = {}
"""What writes a file of each suffix."""


def export_answers(
    lake: Lake, out: Path, model_id: str, dataset_id: str, method: str | None = None
) -> int:
    """Write a model's answers to a dataset, of one method or all; returns how many there were.
    Those to other prompts, orders and images are left out.

    One row per answer: `sample_id`, `split`, `label` (the dataset's), `method`, `reply` (all that
    was generated), `predicted` (a label), `options` (what letters stood for), `finish_reason`,
    `n_tokens`, `scores` (log probabilities by label). No patient and no path is among them. Raises
    UsageError for answers that there are none of.
    """
    if out.suffix.lower() not in WRITERS:
        raise UsageError(f"--out {out} names no format; end it in {' or '.join(WRITERS)}")
    with connect(lake) as wh:
        require_known(wh, "dataset", dataset_id)
        held = wh.sql(_HELD, [model_id, dataset_id]).fetchall()
        if not held:
            known = [name for (name,) in wh.sql("SELECT DISTINCT model_id FROM answer").fetchall()]
            raise UsageError(
                f"the lake holds no answers of {model_id!r} on {dataset_id}"
                f"{nearest(model_id, known) if model_id not in known else ''}"
            )
        methods = [name for (name,) in held]
        if method is not None and method not in methods:
            raise UsageError(f"{model_id} has no answers {method!r}{nearest(method, methods)}")
        from extract.answers.stored import StoredReplies  # what reads replies takes its time

        classes = dataset(wh, dataset_id).classes
        found = wh.sql(_ANSWERS, [model_id, dataset_id, method]).to_dicts()
        replies = StoredReplies.of(wh, model_id, dataset_id, classes)
    rows = [_row(one, replies, classes) for one in found]

    def produce(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as stream:
            WRITERS[out.suffix.lower()](rows, stream)

    with telling_unwritable(out):
        write_at_once(out, produce)
    return len(rows)


def _row(
    one: Mapping[str, Any], replies: StoredReplies, classes: Sequence[ClassRow]
) -> dict[str, Any]:
    scores, predicted = one["label_logprobs"], one["predicted_class_index"]
    said = one["text"] is not None
    return {
        "sample_id": one["sample_id"],
        "split": one["split"],
        "label": one["label"],
        "method": one["method"],
        "reply": replies.whole(one) if said else None,
        "predicted": None if predicted is None else classes[predicted].label,
        "options": replies.options(one) if said else None,
        "finish_reason": one["finish_reason"],
        "n_tokens": one["n_tokens"],
        "scores": scores and dict(zip((row.label for row in classes), scores, strict=True)),
    }


_BREAKS = str.maketrans({one: f"\\u{ord(one):04x}" for one in "\x85\u2028\u2029"})
"""Line ends to many who read by lines, which JSON lets stand as they are."""


def _json_lines(rows: Iterable[Mapping[str, Any]], stream: IO[str]) -> None:
    for row in rows:
        held = {name: value for name, value in row.items() if value is not None}
        stream.write(json.dumps(held, ensure_ascii=False).translate(_BREAKS) + "\n")


def _delimited(rows: Iterable[Mapping[str, Any]], stream: IO[str], delimiter: str) -> None:
    plain = [{k: _cell(v) for k, v in row.items()} for row in rows]
    writer = csv.DictWriter(stream, list(plain[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(plain)


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


WRITERS |= {
    ".jsonl": _json_lines,
    ".csv": lambda rows, stream: _delimited(rows, stream, ","),
    ".tsv": lambda rows, stream: _delimited(rows, stream, "\t"),
}

_HELD = """
SELECT DISTINCT method FROM diagnosed_answer WHERE model_id = $1 AND dataset_id = $2 ORDER BY ALL
"""
_ANSWERS = """
SELECT a.*, s.split, c.label
FROM answer AS a
SEMI JOIN diagnosed_answer USING (model_id, dataset_id, sample_id, method, prompt_id)
INNER JOIN sample AS s USING (dataset_id, sample_id)
LEFT JOIN class AS c ON s.dataset_id = c.dataset_id AND s.class_index = c.class_index
WHERE
    a.model_id = $1 AND a.dataset_id = $2 AND ($3 IS NULL OR a.method = $3)
    AND a.option_order = 'given' AND a.image_control = 'own'
ORDER BY a.method, a.sample_id
"""
