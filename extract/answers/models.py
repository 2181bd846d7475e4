"""Models whose answers are brought: those of lake and registry, and others by their title."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from extract.models import matching_entries
from warehouse.catalogue import Catalogue
from warehouse.errors import UsageError, nearest
from warehouse.variants import BASE

MOST_LETTERS = 200
"""Of a name as a folder has it, which may have 255."""


def model_row(wh: Catalogue, model_id: str, title: str | None) -> dict[str, Any]:
    """A model's row of the table `model`; what is not known of it is NULL.

    It goes with every import, so that each stands alone where another is removed. Raises UsageError
    for an unknown model without a title, and for a title of a model that has another or none.
    """
    held = wh.sql("SELECT * EXCLUDE (run_id) FROM model WHERE model_id = $1", [model_id]).pl()
    if len(held):
        row = held.to_dicts()[0]
        if title not in (None, row["title"]):
            called = f"has the title {row['title']!r}" if row["title"] else "needs no title"
            raise UsageError(f"the lake knows {model_id}, which {called}; leave out --title")
        return row
    columns = wh.sql("SELECT * EXCLUDE (run_id) FROM model LIMIT 0").columns
    row = dict.fromkeys(columns) | {"model_id": model_id, "name": model_id, "variant": BASE}
    entries = {entry.name: entry for entry in matching_entries()}
    entry = entries.get(model_id)
    if entry is not None and title is None:
        n = None if entry.parameters is None else round(entry.parameters * 1e9)
        return row | {"hf_id": entry.hub, "n_parameters": n, "licence": entry.licence}
    known = [name for (name,) in wh.sql("SELECT model_id FROM model").fetchall()]
    if not title:
        raise UsageError(
            f"neither the lake nor the registry knows a model {model_id!r}"
            f"{nearest(model_id, {*known, *entries})}; for another one, such as an API's, say what "
            "it is with --title"
        )
    if not re.fullmatch(r"[\w][\w.:-]*", model_id):
        raise UsageError(
            f"--model {model_id!r} becomes an id of the lake; use letters, numbers, '.', ':' and "
            "'-' for it, and say the whole name with --title"
        )
    if len(quote(model_id)) > MOST_LETTERS:
        raise UsageError(
            f"--model {model_id[:40]}… becomes the name of a folder and is too long for one; give "
            "a shorter one, and say the whole name with --title"
        )
    return row | {"title": title}
