"""Reading stored replies anew: the rules of reading improve, and no model has to run for that.

What was generated stays as it is. Where a reading changes, the new one takes the place of the old.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from extract.answers.stored import StoredReplies
from warehouse.catalogue import ClassRow, connect, dataset
from warehouse.errors import UsageError, nearest
from warehouse.lake import Lake, RunSpec, RunWriter, exclusive

COMMAND = "answers-reparse"


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
    with connect(lake) as wh:
        pairs = wh.sql(_REPLIED).fetchall()
    for what, name, place in (("model", model_id, 0), ("dataset", dataset_id, 1)):
        known = [pair[place] for pair in pairs]
        if name is not None and name not in known:
            raise UsageError(
                f"the lake holds no replies of the {what} {name!r}{nearest(name, known)}"
            )
    return [
        _reparse_one(lake, model, about, dry_run)
        for model, about in pairs
        if model_id in (None, model) and dataset_id in (None, about)
    ]


def _reparse_one(lake: Lake, model_id: str, dataset_id: str, dry_run: bool) -> Reparsed:
    with exclusive(lake, COMMAND, model_id, dataset_id) as looked:
        with connect(lake) as wh:
            classes = dataset(wh, dataset_id).classes
            rows = wh.sql(_REPLIES, [model_id, dataset_id]).pl().to_dicts()
            replies = StoredReplies.of(wh, model_id, dataset_id, classes)
        read = [(row, replies.named(row)) for row in rows]
        changed = [(row, new) for row, new in read if new != row["predicted_class_index"]]
        changes = tuple(_change(row, new, classes) for row, new in changed)
        if not changed or dry_run:
            return Reparsed(model_id, dataset_id, len(rows), changes, None)
        spec = RunSpec(COMMAND, model_id, dataset_id, _config(changed))
        with RunWriter(lake, spec, looked) as writer:
            new_rows = [_superseding(row, new) for row, new in changed]
            writer.commit({"answer": new_rows}, {"replaces": ["answer"]}, finished=True)
    return Reparsed(model_id, dataset_id, len(rows), changes, spec.run_id)


def _change(row: Mapping[str, Any], new: int | None, classes: Sequence[ClassRow]) -> Change:
    before, after = (
        None if index is None else classes[index].label
        for index in (row["predicted_class_index"], new)
    )
    return Change(row["sample_id"], row["method"], row["text"], before, after)


def _superseding(row: Mapping[str, Any], new: int | None) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name != "run_id"}
    return kept | {"predicted_class_index": new, "parsed": new is not None}


def _config(changed: Iterable[tuple[Mapping[str, Any], int | None]]) -> dict[str, Any]:
    """What tells this reading from others: whose rows it replaces, and what it makes of them.

    A reading that is taken back by a later one and made again replaces that one's rows.
    """
    key = ("run_id", "sample_id", "method", "prompt_id", "option_order", "image_control")
    found = [[*(row[name] for name in key), new] for row, new in changed]
    digest = blake2b(json.dumps(sorted(found, key=str)).encode(), digest_size=16).hexdigest()
    return {"reads": digest, "n": len(found)}


_REPLIED = """
SELECT DISTINCT model_id, dataset_id FROM answer WHERE text IS NOT NULL ORDER BY ALL
"""
_REPLIES = """
SELECT * FROM answer
WHERE model_id = $1 AND dataset_id = $2 AND text IS NOT NULL ORDER BY method, sample_id
"""
