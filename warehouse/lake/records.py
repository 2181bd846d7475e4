"""What a commit record may say: the exact names of its fields and what each of them may be.

A lake may have been copied from anywhere, so a record is held against this before anything is done
with it; what a writer writes is held against the same.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import cache
from hashlib import blake2b
from itertools import pairwise
from typing import Any

from warehouse.lake.covering import check_covers
from warehouse.lake.facts import COMPACT, REMOVABLE, REMOVE, SAMPLES
from warehouse.lake.folding import check_folded, out_of_runs
from warehouse.schema import PARTITIONS, migrations, tables
from warehouse.untrusted import (
    UnfitError,
    amount,
    anything,
    fields,
    listing,
    mapping,
    maybe,
    moment,
    one_of,
    parse_json,
    refuse,
    row,
    text,
    truth,
    whole,
)
from warehouse.vocabulary import BLIND

LAST_YEAR = 9000
LAST_MOMENT = datetime(LAST_YEAR, 12, 31)
"""No commit follows one of this day, so that no honest one has a time that no record may have.

Only a record that was made by hand comes near. A repair sets aside all of that year.
"""

MOST_PARTS = 2**16
"""More shards of one folder than that are in no compaction."""

CHECK = "check"
"""A record's checksum of itself stands among its notes, where earlier readers let it pass."""

COMMAND = text("a command", r"[a-z][a-z0-9-]{0,63}")
RUN_ID = text("a run", r"[a-z][a-z0-9-]{0,63}-[0-9a-f]{12}")
NAME = text("a name", r"[^\0]+", 4096)
WORDS = text()
COUNT = whole(0, 2**31 - 1)
PLACES = listing(COUNT)
MARK = text("a mark", r"[0-9a-f]{64}")
SCHEMA = text("a migration", r"|[0-9]{4}_[a-z0-9_]{1,60}")

SHARD = fields(
    {
        "table": text("a table", r"[a-z][a-z0-9_]{0,63}"),
        "path": text("a path", r"[\x20-\x7e]+", 2048),
        "rows": whole(),
        "bytes": whole(),
        "checksum": text("a checksum", r"[0-9a-f]{64}"),
    }
)

NOTES = fields(
    {},
    {
        "seconds": mapping(WORDS, amount),
        "n_images": whole(),
        BLIND: listing(WORDS),
        "fitted": fields({"device": WORDS, "batch": COUNT}),
        CHECK: text("a checksum", r"[0-9a-f]{32}"),
    },
    anything,
)

OBJECT = fields({}, others=anything)

RUN = fields(
    {
        "run_id": RUN_ID,
        "command": COMMAND,
        "model_id": maybe(NAME),
        "dataset_id": maybe(NAME),
        "started_at": moment,
        "finished_at": maybe(moment),
        "status": one_of("running", "finished"),
        "device": maybe(WORDS),
        "config": fields(
            {}, {"base": maybe(NAME), "identity": OBJECT, "selection": OBJECT}, anything
        ),
        "versions": mapping(WORDS, WORDS),
    },
    {
        "seconds": maybe(mapping(WORDS, amount)),
        "n_images": maybe(whole()),
        "n_bytes": maybe(whole()),
    },
)

COMMIT = fields(
    {
        "run_id": RUN_ID,
        "n": COUNT,
        "command": COMMAND,
        "model_id": maybe(NAME),
        "dataset_id": maybe(NAME),
        "committed_at": moment,
        "covers": OBJECT,
        "shards": listing(SHARD),
    },
    {
        "run": OBJECT,
        "schema": SCHEMA,
        "notes": NOTES,
        "joins": OBJECT,
    },
)


JOINS = fields(
    {
        "run": RUN,
        "n": PLACES,
        "committed_at": listing(moment),
        "hash": listing(text("a hash", r"[0-9a-f]{32}")),
        "covers": mapping(WORDS, listing(listing(anything))),
        "bytes": whole(),
        "parts": mapping(WORDS, listing(row(COUNT, COUNT, whole()))),
    }
)
"""What a compaction took the place of: the newest row of their run; of each commit its number, time
and hash; where what they cover changes; the bytes of all their shards; and of each shard how many
of its rows are of which commits, in their order."""

REMOVAL = fields(
    {
        "what": one_of(*REMOVABLE, SAMPLES),
        "name": NAME,
        "removes": listing(
            fields(
                {
                    "run": fields(
                        {
                            "run_id": RUN_ID,
                            "command": COMMAND,
                            "model_id": maybe(NAME),
                            "dataset_id": maybe(NAME),
                        },
                        {"base": maybe(NAME), "registers": truth},
                    ),
                    "last": COUNT,
                }
            )
        ),
    },
    {
        SAMPLES: listing(fields({"mark": MARK, "place": COUNT})),
        "groups": listing(MARK),
    },
)


class NewerError(Exception):
    """A record names a migration that came after this Layerhouse: it may say what none knows."""


def parsed(content: bytes) -> dict[str, Any]:
    """A commit record's fields.

    Raises UnfitError for anything that is not one, wholly, and NewerError for that of a newer
    Layerhouse, of which no more is known than that it is whole.
    """
    found: dict[str, Any] = parse_json(content)
    SCHEMA(found.get("schema", "") if isinstance(found, dict) else None, "schema")
    newer = found.get("schema", "") not in {"", *known_migrations()}
    if not newer:
        check(found)
    notes = found.get("notes", {})
    said = notes.pop(CHECK, None) if isinstance(notes, dict) else ""
    if said not in (None, checksum(found)):  # the oldest have none
        raise UnfitError("it is not as it was written")
    if newer:
        raise NewerError(found["schema"])
    return found


def checksum(record: dict[str, Any]) -> str:
    """Of a record without its checksum; how its text is laid out does not matter."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def sealed(record: dict[str, Any]) -> str:
    """The text of a record with its checksum. Raises UnfitError for what no reader would take."""
    plain = json.loads(json.dumps(record))
    text = json.dumps(
        plain | {"notes": {**plain["notes"], CHECK: checksum(plain)}}, indent=1, ensure_ascii=False
    )
    try:
        parsed(text.encode())
    except UnicodeError as error:
        raise UnfitError("it holds half a character") from error
    return text


def check(record: Any) -> None:
    """Raise UnfitError unless all of a record is as a writer writes it."""
    COMMIT(record, "")
    run_id, command = record["run_id"], record["command"]
    if run_id[: -len("-0123456789ab")] != command:
        refuse("run_id", run_id, "a run of its command")
    if record.get("run"):  # the oldest records say nothing of their run
        _check_run(record, record["run"], "run", ("run_id", "command", "model_id", "dataset_id"))
    if command == REMOVE:
        config = record.get("run", {}).get("config")
        REMOVAL(config, "run.config")
        if (config["what"] == SAMPLES) != (SAMPLES in config):
            refuse("run.config.what", config["what"], "what is removed, and only samples by marks")
    if (command == COMPACT) != ("joins" in record):
        refuse("joins", record.get("joins"), "what a compaction joins, and only that says so")
    check_covers(record["covers"], "covers")
    _check_replaced(record["covers"])
    if "joins" in record:
        _check_joins(record, record["joins"])
    _check_shards(record)


def _check_run(record: dict[str, Any], run: Any, where: str, names: tuple[str, ...]) -> None:
    RUN(run, where)
    for name in names:
        if run[name] != record[name]:
            refuse(f"{where}.{name}", run[name], "the record's own")


def _check_joins(record: dict[str, Any], joins: dict[str, Any]) -> None:
    """What a compaction says fits together."""
    JOINS(joins, "joins")
    _check_run(record, joins["run"], "joins.run", ("model_id", "dataset_id"))
    numbers, n = joins["n"], len(joins["n"])
    if joins["run"]["command"] in (REMOVE, COMPACT) or not n:
        refuse("joins.run.command", joins["run"]["command"], "a command whose commits are joined")
    if not all(before < after for before, after in pairwise(numbers)):
        refuse("joins.n", numbers[:3], "a rising list of numbers")
    for name in ("committed_at", "hash"):
        if len(joins[name]) != n:
            refuse(f"joins.{name}", len(joins[name]), "one for each commit")
    if max(map(datetime.fromisoformat, joins["committed_at"])) > datetime.fromisoformat(
        record["committed_at"]
    ):
        refuse("committed_at", record["committed_at"], "a time after all that it joins")
    check_folded(joins["covers"], n, "joins.covers")
    for _, *said in joins["covers"].get("replaces", ()):
        _check_replaced({"replaces": said[0]} if said else {})
    held = {shard["path"]: shard["rows"] for shard in record["shards"]}
    if held.keys() != joins["parts"].keys():
        refuse("joins.parts", len(joins["parts"]), "one for each shard")
    known = set(numbers)
    for path, runs in joins["parts"].items():
        parts = list(out_of_runs(runs, MOST_PARTS))
        if sum(rows for _, rows in parts) != held[path] or not known.issuperset(
            number for number, _ in parts
        ):
            refuse(f"joins.parts.{path}", len(parts), "the rows of its commits")


def _check_replaced(covers: dict[str, Any]) -> None:
    for table in covers.get("replaces", ()):
        if table not in _tables():
            refuse("covers.replaces", table, "a table of a lake")


def _check_shards(record: dict[str, Any]) -> None:
    """Each is a file of its table and commit, and none is named twice."""
    seen: set[str] = set()
    for number, shard in enumerate(record["shards"]):
        table, path, where = shard["table"], shard["path"], f"shards[{number}]"
        if table not in _tables():
            refuse(f"{where}.table", table, "a table of a lake")
        folders = "".join(rf"/{name}=[A-Za-z0-9_.~%-]+" for name in PARTITIONS.get(table, ()))
        own = rf"{table}{folders}/part-{record['run_id']}-(?:{record['n']}|[0-9a-f]{{32}})\.parquet"
        if path in seen or not re.fullmatch(own, path):
            refuse(f"{where}.path", path, f"the place of a shard of {table} in this commit")
        seen.add(path)


@cache
def known_migrations() -> frozenset[str]:
    return frozenset(migration.name for migration in migrations())


@cache
def _tables() -> frozenset[str]:
    return frozenset(tables())
