"""Files of answers as harnesses write them, as rows by column: JSON, JSON lines, CSV, TSV, Parquet.

A harness is known by its columns, or by none: then a file's own name stands for it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from extract.answers.columns import ROLES
from extract.datasets import LabelTable, ReadOptions, read_table
from warehouse.errors import LayerhouseError

HARNESSES = {
    "lm-eval": ({"doc_id", "arguments"}, {"doc_id", "doc", "filtered_resps"}),
    "lmms-eval": ({"doc_id", "filtered_resps"}, {"doc_id", "resps", "input"}),
    "vlmevalkit": ({"index", "prediction"},),
    "openai-batch": ({"custom_id", "response"},),
    "anthropic-batch": ({"custom_id", "result"},),
    "medevalkit": ({"response", "choices", "answer"}, {"response", "messages"}),
}
"""Columns that tell a harness, any of the sets; the first that fits is it."""

TABLES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")

OTHERWISE = {
    ".xlsx": "is a spreadsheet; save it as a tab-separated .tsv and import that (VLMEvalKit writes "
    "one itself where its results' format is set to tsv)",
    ".pkl": "is a pickle, which may run code when it is read; have it written as JSON lines or TSV",
    ".gz": "is compressed; unpack it and import what is inside",
    ".zip": "is an archive; unpack it and import what is inside",
    ".txt": "may be text of any form; save it as .jsonl, .csv or .tsv with a column for each "
    "sample's name and one for its reply",
}
"""What is to be done with files that are not read as they are."""
OTHERWISE |= {".xls": OTHERWISE[".xlsx"], ".ods": OTHERWISE[".xlsx"], ".tgz": OTHERWISE[".gz"]}
OTHERWISE |= {".pickle": OTHERWISE[".pkl"]}


_SAYS = {name for name in (*ROLES["reply"], *ROLES["scores"]) if "." not in name}


def read_rows(path: Path, reading: ReadOptions) -> LabelTable:
    """A file's rows; LayerhouseError for what cannot be read for certain, or holds none."""
    suffix = path.suffix.lower()
    if path.is_dir():
        raise LayerhouseError(f"{path} is a folder; name the file in it that holds the replies")
    if not path.is_file():
        raise LayerhouseError(f"there is no file {path}")
    if suffix in OTHERWISE:
        raise LayerhouseError(f"{path} {OTHERWISE[suffix]}")
    if suffix not in TABLES:
        raise LayerhouseError(f"{path} is none of {', '.join(TABLES)}; save it as one of them")
    table = _json(path) if suffix == ".json" else read_table(path, reading)
    if not table.rows:
        raise LayerhouseError(f"{path} holds no replies")
    return table


def harness_of(table: LabelTable) -> str | None:
    """The harness that wrote these columns, if it is one of those known."""
    columns = set(table.columns)
    return next((name for name, told in HARNESSES.items() if any(s <= columns for s in told)), None)


def _json(path: Path) -> LabelTable:
    """A list of objects, an object that holds one such list, or one by sample or by column."""
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeError as error:
        raise LayerhouseError(f"{path} is not UTF-8 text, as JSON is; save it so") from error
    except json.JSONDecodeError as error:
        hint = "; with an object on each line, it is .jsonl" if error.msg == "Extra data" else ""
        where = f"line {error.lineno} of {path}"
        raise LayerhouseError(f"{where} is not JSON: {error.msg}{hint}") from error
    rows = _objects(found)
    if rows is None:
        raise LayerhouseError(
            f"{path} holds no list of replies, as a harness' summary of scores holds none; name "
            "the file with one entry for each sample"
        )
    columns = dict.fromkeys(name for row in rows for name in row)
    return LabelTable(path, list(columns), rows, [f"entry {n + 1}" for n in range(len(rows))])


def _objects(found: Any) -> list[dict[str, Any]] | None:
    if isinstance(found, list):
        return found if all(isinstance(row, dict) for row in found) else None
    if not isinstance(found, dict):
        return None
    lists = [v for v in found.values() if isinstance(v, list) and v and _objects(v) is not None]
    if len(lists) == 1:
        return _objects(lists[0])
    if found and not lists and all(isinstance(value, str) for value in found.values()):
        return [{"sample_id": name, "reply": reply} for name, reply in found.items()]
    return _by_name(found)


def _by_name(found: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The rows of objects that lie under the names of samples, or, as pandas writes a table, of
    columns that lie under theirs; None where no object says a reply, as in a summary of scores.
    """
    objects = list(found.values())
    if not objects or not all(isinstance(value, dict) and value for value in objects):
        return None
    names = objects[0].keys()
    if found.keys() & _SAYS and all(value.keys() == names for value in objects):
        return [{column: cells[name] for column, cells in found.items()} for name in names]
    if all(value.keys() & _SAYS for value in objects):
        return [{"sample_id": name} | row for name, row in found.items()]
    return None
