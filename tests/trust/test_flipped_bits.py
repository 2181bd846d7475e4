"""A flipped bit in a record or a shard is refused, or changes nothing; it is never served wrong."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from tests.warehouse.small_lakes import (
    DATASET,
    MODEL,
    activation_rows,
    answer_row,
    rows_of,
    small_lake,
    token_rows,
)
from warehouse.catalogue.refreshing import connect, refresh
from warehouse.errors import LayerhouseError
from warehouse.lake.compacting import FEWEST, compact
from warehouse.lake.freeing import free
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.standing import list_records
from warehouse.lake.verified import unsound

FLIPS = int(os.environ.get("LAYERHOUSE_TRUST_FLIPS", "4"))
LOCI = [("vision", 0), ("vision", 1), ("llm", 0)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """An extraction, and one whose commits were joined and freed."""
    lake = small_lake(tmp_path_factory.mktemp("flips") / "lake")
    with RunWriter(lake, RunSpec("extract", "joined", DATASET, {})) as writer:
        for n in range(FEWEST):
            tables = {
                "answer": [answer_row(f"s{n % 4}", model_id="joined")],
                "activation": activation_rows([f"s{n}"], model_id="joined"),
                "token_activation": token_rows([f"s{n}"], model_id="joined"),
            }
            writer.commit(tables, covers={"loci": [str(n)]})
    assert all(one.joined for one in compact(lake))
    free(lake)
    refresh(lake)
    return lake


def _small(lake: Lake) -> Any:
    return rows_of(lake, "sample", "class", "dataset", "answer", "run")


def _vectors(lake: Lake) -> Any:
    with connect(lake) as wh:
        found = [
            wh.vectors(model, DATASET, *cell, "mean")
            for cell in LOCI
            for model in (MODEL, "joined")
        ]
    return [(ids, np.asarray(matrix).tobytes()) for ids, matrix in found]


def _by_sql(lake: Lake) -> Any:
    with connect(lake) as wh:
        return wh.sql("FROM activation ORDER BY ALL").fetchall()


def _tokens(lake: Lake) -> Any:
    with connect(lake) as wh:
        ids, matrix = wh.token_vectors("joined", DATASET, "vision", 1)
    return ids, np.asarray(matrix).tobytes()


def _tokens_by_sql(lake: Lake) -> Any:
    with connect(lake) as wh:
        return wh.sql("FROM token_activation ORDER BY ALL").fetchall()


KINDS = {
    "record": ("commits/*.json", _small),
    "small table": ("[!at]*/part-*.parquet", _small),
    "answers": ("answer/**/*.parquet", _small),
    "vectors": ("activation/**/*.parquet", _vectors),
    "vectors by SQL": ("activation/**/*.parquet", _by_sql),
    "tokens": ("token_activation/**/part-compact-*.parquet", _tokens),
    "tokens by SQL": ("token_activation/**/*.parquet", _tokens_by_sql),
    "record of a compaction": ("commits/compact-*.json", _small),
    "joined answers": ("answer/**/part-compact-*.parquet", _small),
    "joined vectors": ("activation/**/part-compact-*.parquet", _vectors),
    "footer": ("[!at]*/part-*.parquet", _small),
    "what was verified": ("verified.json", _vectors),
}
NEVER_REFUSED = {"what was verified"}
"""What is made anew where it cannot be trusted."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_never_served(lake: Lake, kind: str) -> None:
    pattern, read = KINDS[kind]
    read(lake)
    files = sorted(lake.root.glob(pattern))
    assert files
    right, outcomes, chance = read(lake), Counter[str](), random.Random(0)
    for _ in range(FLIPS):
        path = chance.choice(files)
        sound = path.read_bytes()
        start = len(sound) - _footer(sound) if kind == "footer" else 0
        damaged, place = bytearray(sound), chance.randrange(start, len(sound))
        damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            outcome = "served right" if read(lake) == right else f"served wrong: {path}, {place}"
        except LayerhouseError as error:
            outcome = "refused" if str(error).isprintable() else f"badly said: {error}"
        finally:
            path.write_bytes(sound)
        outcomes[outcome] += 1
    assert set(outcomes) <= {"refused", "served right"}, outcomes
    assert bool(outcomes["refused"]) != (kind in NEVER_REFUSED), outcomes
    print(f"flips of {kind}: {dict(outcomes)}")  # noqa: T201 - figures for the note


def _footer(content: bytes) -> int:
    return int.from_bytes(content[-8:-4], "little") + 8


@pytest.mark.parametrize("part", ["pages", "footer"])
def test_a_disk_that_errs_leaves_no_date_and_pages_are_seen_through(lake: Lake, part: str) -> None:
    """Shards that were verified before are not read again as a whole."""
    files = sorted(lake.root.glob("activation/**/*.parquet"))
    right, outcomes, chance = _vectors(lake), Counter[str](), random.Random(0)
    for _ in range(2 * FLIPS):  # of which most are served right
        path = chance.choice(files)
        sound, about = path.read_bytes(), path.stat()
        start = len(sound) - _footer(sound)
        place = chance.randrange(start) if part == "pages" else chance.randrange(start, len(sound))
        damaged = bytearray(sound)
        damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
        try:
            outcomes["served right" if _vectors(lake) == right else f"wrong at {place}"] += 1
        except LayerhouseError:
            outcomes["refused"] += 1
        finally:
            path.write_bytes(sound)
            os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    print(f"flips of the {part} without a date: {dict(outcomes)}")  # noqa: T201
    assert set(outcomes) <= {"refused", "served right"}, outcomes
    assert outcomes["refused"], outcomes


def test_what_was_verified_and_has_not_changed_is_not_read_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = [shard for commit in list_records(lake) for shard in commit.shards]
    assert unsound(lake, shards) == {}
    with monkeypatch.context() as patched:
        patched.setattr("warehouse.storage.folder.checksum", None)
        assert unsound(lake, shards) == {}
    path = lake.root / shards[0].path
    sound = path.read_bytes()
    path.write_bytes(sound[::-1])
    assert unsound(lake, shards) == {
        shards[0].path: "has another checksum than its commit recorded"
    }
    path.unlink()
    assert unsound(lake, shards) == {shards[0].path: "is missing"}
    path.write_bytes(sound)
    assert unsound(lake, shards) == {}


@pytest.mark.parametrize("said", [b"", b"[]", b'{"a": 7}', b"not"])
def test_a_memory_that_says_nothing_makes_everything_be_read(lake: Lake, said: bytes) -> None:
    (lake.root / "verified.json").write_bytes(said)
    assert unsound(lake, [s for commit in list_records(lake) for s in commit.shards]) == {}
    assert b".parquet" in (lake.root / "verified.json").read_bytes()


@pytest.mark.parametrize(
    ("query", "modules"),
    [
        ("SELECT count(*) FROM activation WHERE module = 'llm'", {"llm"}),
        ("FROM activation WHERE module <> 'llm'", {"vision"}),
        ("SELECT count(vector) FROM activation", {"llm", "vision"}),
        ("FROM activation JOIN layer USING (model_id, module, layer)", {"llm", "vision"}),
        (f"FROM activations('{MODEL}', '{DATASET}', 'vision', 0, 'mean')", {"vision"}),
        (
            "SELECT (SELECT count(*) FROM activation WHERE module = 'llm'), count(*) "
            "FROM activation WHERE module = 'vision'",
            {"llm", "vision"},
        ),
        ("SELECT count(vector) FROM token_activation WHERE module = 'vision'", {"vision"}),
        ("FROM token_activation WHERE module = 'llm'", set()),
        ("DESCRIBE activation", set()),
        ("SELECT 'activation' FROM sample", set()),
    ],
)
def test_a_query_has_the_shards_verified_that_it_may_read(
    lake: Lake, query: str, modules: set[str]
) -> None:
    (lake.root / "verified.json").unlink(missing_ok=True)
    with connect(lake) as wh:
        wh.sql(query)
    held = lake.root / "verified.json"
    found = json.loads(held.read_text()) if held.exists() else {}
    assert {path.split("module=")[1].split("/")[0] for path in found} == modules
    table = "token_activation" if "token_activation" in query else "activation"
    assert all(path.startswith(f"{table}/") for path in found)


def test_what_was_verified_is_believed_of_no_file_whose_footer_it_does_not_know(lake: Lake) -> None:
    """A sound shard is read whole once more and served; what was noted of it is right again."""
    right = _vectors(lake)
    memory = lake.root / "verified.json"
    noted = json.loads(memory.read_text())
    memory.write_text(json.dumps({path: [*marks[:2], "0" * 32] for path, marks in noted.items()}))
    assert _vectors(lake) == right
    assert json.loads(memory.read_text()) == noted
