"""Reading stored replies anew: the rules of reading improve, and no model has to run for that.

What was generated stays as it is. Where a reading changes, the new one takes the place of the old.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from extract.answering import standing
from extract.answers.stored import StoredReplies, replied_pairs
from warehouse.catalogue import ClassRow, dataset, open_tables
from warehouse.lake import Lake, RunSpec, RunWriter, exclusive
from warehouse.vocabulary import JUDGED, SAMPLED

COMMAND = "answers-reparse"

Row = Mapping[str, Any]
Read = tuple[Row, int | None]
"""A stored reply, of `answer` or `reply_draw`, and the class that it names by today's rules."""


@dataclass(frozen=True)
class Change:
    """One reply that reads otherwise than it did; labels are None where no class was named."""

    sample_id: str
    method: str
    reply: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Reparsed:
    """What reading anew the `n` replies of one model to one dataset changed; `run_id` is None where
    nothing did.
    """

    model_id: str
    dataset_id: str
    n: int
    changes: tuple[Change, ...]
    run_id: str | None


def reparse(
    lake: Lake, model_id: str | None = None, dataset_id: str | None = None, *, dry_run: bool = False
) -> list[Reparsed]:
    """Read anew every stored reply, of one model or dataset or all, and store what reads otherwise.

    With `dry_run` nothing is stored. Raises UsageError for a model or dataset without replies.
    """
    pairs = replied_pairs(lake, model_id, dataset_id)
    return [_reparse_one(lake, model, about, dry_run) for model, about in pairs]


def _reparse_one(lake: Lake, model_id: str, dataset_id: str, dry_run: bool) -> Reparsed:
    of = [model_id, dataset_id]
    with exclusive(lake, COMMAND, model_id, dataset_id) as looked:
        with open_tables(lake) as wh:
            classes = dataset(wh, dataset_id).classes
            rows = wh.sql(_REPLIES, [*of, SAMPLED, JUDGED]).pl().to_dicts()
            draws = wh.sql(_DRAWS, of).pl().to_dicts()
            voted = wh.sql(_VOTED, [*of, SAMPLED]).pl().to_dicts()
            replies = StoredReplies.of(wh, model_id, dataset_id, classes)
        read = [(row, replies.named(row)) for row in (*rows, *draws)]
        changed = [(row, new) for row, new in read if new != row["predicted_class_index"]]
        changes = tuple(_change(row, new, classes) for row, new in changed)
        if not changed or dry_run:
            return Reparsed(model_id, dataset_id, len(read), changes, None)
        spec = RunSpec(COMMAND, model_id, dataset_id, _config(changed))
        with RunWriter(lake, spec, looked) as writer:
            tables = _tables(changed, voted, read[len(rows) :])
            writer.commit(tables, {"replaces": ["answer"]}, finished=True)
    return Reparsed(model_id, dataset_id, len(read), changes, spec.run_id)


def _tables(changed: Sequence[Read], voted: Sequence[Row], draws: Sequence[Read]) -> dict[str, Any]:
    """What takes the place of the `changed` readings, and of the answers that draws are behind."""
    new_rows = [_superseding(*one) for one in changed if "draw" not in one[0]]
    new_draws = [
        {name: value for name, value in _superseding(*one).items() if name != "parsed"}
        for one in changed
        if "draw" in one[0]
    ]
    behind: dict[tuple[Any, ...], list[Read]] = {_key(row): [] for row in new_draws}
    for one in draws:
        behind.get(_key(one[0]), []).append(one)
    for row in voted:
        if drawn := behind.get(_key(row)):
            shown, named = drawn[standing([(new, one["finish_reason"]) for one, new in drawn])]
            said = {name: shown[name] for name in ("text", "raw_text", "finish_reason", "n_tokens")}
            new_rows.append(_superseding({**row, **said}, named))
    return {"answer": new_rows} | ({"reply_draw": new_draws} if new_draws else {})


def _change(row: Row, new: int | None, classes: Sequence[ClassRow]) -> Change:
    before, after = (
        None if index is None else classes[index].label
        for index in (row["predicted_class_index"], new)
    )
    return Change(row["sample_id"], row["method"], row["text"], before, after)


def _superseding(row: Row, new: int | None) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name != "run_id"}
    return kept | {"predicted_class_index": new, "parsed": new is not None}


def _key(row: Row) -> tuple[Any, ...]:
    """What tells one answer from others of a model and dataset."""
    names = ("sample_id", "method", "prompt_id", "option_order", "image_control")
    return tuple(row[name] for name in names)


def _config(changed: Iterable[Read]) -> dict[str, Any]:
    """What tells this reading from others: whose rows it replaces, and what it makes of them.

    A reading that is taken back by a later one and made again replaces that one's rows.
    """
    found = [
        [row["run_id"], *_key(row), *([row["draw"]] if "draw" in row else []), new]
        for row, new in changed
    ]
    digest = blake2b(json.dumps(sorted(found, key=str)).encode(), digest_size=16).hexdigest()
    return {"reads": digest, "n": len(found)}


_REPLIES = """
SELECT * FROM answer
WHERE model_id = $1 AND dataset_id = $2 AND text IS NOT NULL
    AND NOT starts_with(method, $3) AND NOT contains(method, $4)
ORDER BY method, sample_id
"""
_DRAWS = """
SELECT * FROM reply_draw WHERE model_id = $1 AND dataset_id = $2 ORDER BY method, sample_id, draw
"""
_VOTED = """
SELECT * FROM answer
WHERE model_id = $1 AND dataset_id = $2 AND starts_with(method, $3) ORDER BY method, sample_id
"""
