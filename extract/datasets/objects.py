"""Files of objects, one for each image: JSON lines, a list in JSON, and COCO's three lists.

A file is read by what it holds: a list of objects and objects on lines of their own are both found
under `.json` and `.jsonl`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from warehouse.errors import LayerhouseError

Row = tuple[str, dict[str, Any]]
"""Where an object stands in its file, and what it says by column."""

_OF_COCO = {
    *("id", "file_name", "width", "height", "license"),
    *("flickr_url", "coco_url", "date_captured"),
}
"""What COCO says of an image's file, and not of what is seen."""


def rows_of(path: Path, content: str) -> list[Row]:
    """All rows of a file's text; LayerhouseError with the place for what is no list of objects."""
    _refuse_no_text(path, content)
    if path.suffix.lower() != ".json" and not content.lstrip().startswith("["):
        return list(_lines(path, content))
    try:
        found = _parsed(content, path)
    except LayerhouseError as error:
        if "Extra data" in str(error) and content.lstrip().startswith("{"):
            return list(_lines(path, content))
        raise
    if isinstance(found, dict) and isinstance(found.get("annotations"), list):
        return _of_coco(found, path)
    if isinstance(found, list):
        return [_row(f"entry {n}", row, path) for n, row in enumerate(found, start=1)]
    held = f"one object ({', '.join(list(found)[:4])})" if isinstance(found, dict) else "no list"
    raise LayerhouseError(
        f'{path} holds {held}; write it as a list of objects, [{{"image_path": …, "label": …}}, …],'
        " one for each image, or as COCO's images, annotations and categories"
    )


_NO_TEXT = re.compile(
    r"\\u(0000|d[89ab][0-9a-f]{2}(?!\\ud[c-f])|(?<!\\ud[89ab][0-9a-f]{2}\\u)d[c-f][0-9a-f]{2})",
    re.IGNORECASE,
)
"""A zero byte, and halves of a letter, which JSON can write."""


def _refuse_no_text(path: Path, content: str) -> None:
    if found := _NO_TEXT.search(content):
        line = content.count("\n", 0, found.start()) + 1
        raise LayerhouseError(
            f"line {line} of {path} holds {found[0]}, which no text has; take it out"
        )


def _lines(path: Path, content: str) -> Iterator[Row]:
    n_rows = 0
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            n_rows += 1
            row = _parsed(line, path, number)
            yield _row(f"line {number}, row {n_rows}", row, path)


def _row(place: str, row: Any, path: Path) -> Row:
    if not isinstance(row, dict):
        raise LayerhouseError(f"{place.split(',')[0]} of {path} is not an object {{column: value}}")
    return place, row


def _parsed(content: str, path: Path, line: int = 1) -> Any:
    """What JSON says that begins on a line of a file."""
    try:
        return json.loads(content, object_pairs_hook=_distinct)
    except json.JSONDecodeError as error:
        where = f"line {line + error.lineno - 1} of {path}"
        raise LayerhouseError(f"{where} is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else error
        raise LayerhouseError(f"{path} cannot be read from line {line} on: {reason}") from error


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object there says {twice!r} twice")
    return found


def _of_coco(found: Mapping[str, Any], path: Path) -> list[Row]:
    """A row for each image: its file, the name of its category (a list of them, None where there is
    none), and what else its entry says.
    """
    names = {key: entry.get("name") for key, entry in _by_id(found, "categories", path).items()}
    images = _by_id(found, "images", path)
    seen: dict[str, dict[str, None]] = {}
    for number, entry in enumerate(found["annotations"], start=1):
        where, annotation = _row(f"annotation {number}", entry, path)
        of_image, category = _key(annotation.get("image_id")), _key(annotation.get("category_id"))
        if annotation.get("category_id") is None:
            raise LayerhouseError(
                f"{where} of {path} has no category_id, as captions and replies have none, so it "
                "says no class; give a file whose annotations name categories, or a table"
            )
        for key, held, kind in ((of_image, images, "image"), (category, names, "category")):
            if key not in held:
                raise LayerhouseError(
                    f"{where} of {path} is of the {kind} {key}, which is not listed there; list "
                    f"it, or take the annotation out"
                )
        seen.setdefault(of_image, {})[str(names[category])] = None
    rows = []
    for key, entry in images.items():
        labels = list(seen.get(key, ()))
        label = labels if len(labels) > 1 else next(iter(labels), None)
        others = {
            name: value
            for name, value in entry.items()
            if name not in _OF_COCO and not isinstance(value, dict | list)
        }
        row = {**others, "image_path": entry.get("file_name"), "label": label}
        rows.append((f"image {key}", row))
    return rows


def _by_id(found: Mapping[str, Any], name: str, path: Path) -> dict[str, dict[str, Any]]:
    """The entries of one of COCO's lists by their ids, which no two have."""
    held = found.get(name)
    if not isinstance(held, list):
        raise LayerhouseError(f"{path} has annotations but no list of {name}, as COCO has it")
    entries: dict[str, dict[str, Any]] = {}
    for number, one in enumerate(held, start=1):
        _, entry = _row(f"entry {number} of the {name}", one, path)
        key = _key(entry.get("id"))
        if key in entries:
            raise LayerhouseError(
                f"{path} has two {name} of the id {key}; files that were put together need ids of "
                "their own"
            )
        entries[key] = entry
    return entries


def _key(number: Any) -> str:
    """An id as text, since tools write 1, 1.0 and "1"."""
    whole = isinstance(number, float) and number.is_integer()
    return str(int(number) if whole else number)
