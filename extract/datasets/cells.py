"""What cells hold that is neither a text nor a path: objects, bytes, conversations, images."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from extract.datasets.columns import Roles, names_files, proposals
from extract.datasets.tables import LabelTable, is_missing, present
from warehouse.errors import LayerhouseError

_ENCODED = re.compile(
    r"(data:image/[\w.+-]+;base64,|iVBORw0KGgo|/9j/|R0lGOD|UklGR|SUkqA|TU0AK)[\w+/=\s]{60,}"
)
"""How base64 of PNG, JPEG, GIF, WebP and TIFF begins."""


def refuse_no_text(table: LabelTable, roles: Roles) -> None:
    """LayerhouseError for what has a meaning for us and is no text."""
    for name in sorted(roles.used - {roles.image_path}):  # images have a sentence of their own
        if _is_conversation(table.cells(name)):
            raise LayerhouseError(_no_class(table, name))
        for index, cell in enumerate(table.cells(name)):
            if (within := _nested(cell)) is not None:
                what = "an object" if isinstance(within, dict) else "a list in a list"
                raise LayerhouseError(
                    f"{table.place(index)} holds {what}, {str(within)[:40]}, in its {name}; write "
                    "the text of it that is meant"
                )
            if isinstance(cell, bytes) and "\ufffd" in cell.decode(errors="replace"):
                raise LayerhouseError(
                    f"{table.place(index)} holds bytes in its {name} that are no text in UTF-8; "
                    "write the column as text"
                )


def _nested(cell: object) -> object:
    """The object that a cell or its list holds, or a list within its list; None for texts."""
    if isinstance(cell, list):
        return next((one for one in cell if isinstance(one, dict | list)), None)
    return cell if isinstance(cell, dict) else None


def refuse_conversations(table: LabelTable) -> None:
    """LayerhouseError where a table of conversations has no column that may be the label."""
    held = next((name for name in table.columns if _is_conversation(table.cells(name))), None)
    if held is not None and "label=" not in proposals(table.columns, table.cells):
        raise LayerhouseError(_no_class(table, held))


def _no_class(table: LabelTable, column: str) -> str:
    return (
        f"the column {column} of {table.path} holds conversations, what was asked and replied, and "
        "no class; write the class of each image into a column label of its own"
        f"{_last_replies(table, column)}"
    )


def _last_replies(table: LabelTable, column: str) -> str:
    """The command that makes a table of the last replies, of a file in JSON that names images."""
    turns = [cell[-1] for cell in table.cells(column) if not is_missing(cell)]
    field = "value" if "value" in turns[0] else "content"
    image = next((name for name in table.columns if names_files(table.cells(name))), None)
    is_json = table.path.suffix.lower() in (".json", ".jsonl", ".ndjson")
    if image is None or not is_json or not all(isinstance(t.get(field), str) for t in turns):
        return ""
    ours = table.path.with_name(f"{table.path.stem}_labels.json")
    source, made = (json.dumps(str(path), ensure_ascii=False) for path in (table.path, ours))
    lines = f'[json.loads(line) for line in open({source}, "rb") if line.strip()]'
    rows = lines if table.places[0].startswith("line") else f'json.load(open({source}, "rb"))'
    said = (
        f'{{"image_path": r[{json.dumps(image)}], "label": r[{json.dumps(column)}][-1]["{field}"]}}'
    )
    code = (
        f"import json; json.dump([{said} for r in {rows} if r.get({json.dumps(image)})], "
        f'open({made}, "w"))'
    )
    return (
        f"; if it is the last reply, give {ours}, which this makes: python -c {shlex.quote(code)}"
    )


def _is_conversation(cells: Sequence[Any]) -> bool:
    """Whether cells are lists of turns, as LLaVA (`from`, `value`) and others (`role`, `content`)
    write them.
    """
    held = [cell for cell in cells if not is_missing(cell)]
    return bool(held) and all(
        isinstance(cell, list)
        and bool(cell)
        and all(isinstance(turn, dict) and {"value", "content"} & turn.keys() for turn in cell)
        for cell in held
    )


_OPTIONS = re.compile(r"[A-J]|(options?|choices?|candidates?)([ _-]?\w)?", re.IGNORECASE)
"""Names of columns that hold what a question may be answered with."""


def letters_told(table: LabelTable, column: str) -> tuple[str, ...]:
    """A note where labels are letters of options that a benchmark has beside its questions."""
    said = sorted(set(present(table.cells(column))))
    beside = [name for name in table.columns if name != column and _OPTIONS.fullmatch(name)]
    if not beside or not said or not all(re.fullmatch("[A-J]", one) for one in said):
        return ()
    return (
        f"the labels {', '.join(said)} are letters of options ({', '.join(beside)}), which may be "
        f"others in each row: where they are, write the option itself into the column {column}",
    )


def refuse_encoded(table: LabelTable, given: Mapping[str, str]) -> None:
    """LayerhouseError where a table holds the images themselves, and no column names files."""
    own = given.get("image_path", "image_path")
    asked = [own] if own in table.columns else table.columns
    if own not in table.columns and any(names_files(table.cells(name)) for name in asked):
        return
    for name in asked:
        if _ENCODED.fullmatch(next(iter(present(table.cells(name))), "")):
            raise LayerhouseError(
                f"{table.path} lists no files: its column {name} holds the images themselves, in "
                "base64; decode each to a file and write the paths of these into a column "
                "image_path"
            )
