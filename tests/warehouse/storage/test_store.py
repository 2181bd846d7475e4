"""A folder and a bucket answer a lake's questions alike."""

from __future__ import annotations

import itertools
import os
from datetime import timedelta
from pathlib import Path

import pytest

from warehouse.files import checksum
from warehouse.storage.bucket import Bucket
from warehouse.storage.location import store_at
from warehouse.storage.objects import objects_at
from warehouse.storage.store import Draft, Shard, Store

_numbers = itertools.count()
CONTENT = b"what a shard holds"


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    (tmp_path / "lake" / "commits").mkdir(parents=True)
    if request.param == "folder":
        return store_at(tmp_path / "lake", None)
    pytest.importorskip("obstore", reason="needs obstore: pip install 'layerhouse[s3]'")
    return store_at(tmp_path / "lake", f"memory:///store-{next(_numbers)}")


def drafted(store: Store, name: str) -> Draft:
    folder = store.root / "answer"
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.tmp"
    file.write_bytes(CONTENT)
    draft = Draft("answer", "answer", file, 1, len(CONTENT), checksum(file))
    store.receive(draft)
    return draft


def committed(store: Store, commit_id: str = "extract-00000000000a-0") -> list[Shard]:
    drafts = [drafted(store, f"{commit_id}-draft")]
    run_id, _, n = commit_id.rpartition("-")
    record = f'{{"run_id": "{run_id}", "n": {n}, "committed_at": "2026-01-01T00:00:00"}}'
    assert store.enter(store.turn(), commit_id, record, drafts)
    return [draft.shard(store.path(draft, commit_id)) for draft in drafts]


def shards_of(store: Store) -> list[str]:
    return [path for path, _ in store.files() if path.endswith(".parquet")]


def damage(store: Store, path: str, content: bytes | None) -> None:
    """Put other bytes in a shard's place, or none."""
    if isinstance(store, Bucket):
        objects = objects_at(store.url)
        objects.delete([path])
        if content is not None:
            objects.create(path, content)
    elif content is None:
        (store.root / path).unlink()
    else:
        (store.root / path).write_bytes(content)


def test_a_commit_is_there_with_its_shard(store: Store) -> None:
    assert store.commit_names() == []
    (shard,) = committed(store)
    assert store.commit_names() == ["extract-00000000000a-0"]
    assert store.size(shard.path) == shard.bytes
    assert (store.root / "commits" / "extract-00000000000a-0.json").exists()
    store.fetch({"extract-00000000000a-0": [shard]})
    assert (store.root / shard.path).read_bytes() == CONTENT


@pytest.mark.parametrize("store", ["folder"], indirect=True)
def test_what_a_system_leaves_beside_a_record_is_none(store: Store) -> None:
    """macOS puts such a file, with the name of the other, beside each on a disk of another kind."""
    committed(store)
    for name in ("._extract-00000000000a-0.json", ".DS_Store"):
        (store.root / "commits" / name).write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    assert list(store.commit_names()) == ["extract-00000000000a-0"]


def test_what_is_withdrawn_is_no_shard(store: Store) -> None:
    draft = drafted(store, "extract-00000000000a-x")
    store.withdraw([draft])
    assert shards_of(store) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is missing"),
        (CONTENT[:-1], "has 17 bytes instead of 18"),
        (CONTENT[::-1], "has another checksum than its commit recorded"),
    ],
    ids=["removed", "cut", "flipped"],
)
def test_damage_is_called_the_same(store: Store, content: bytes | None, said: str) -> None:
    (shard,) = committed(store)
    assert store.problems([shard], verify=True) == {}
    damage(store, shard.path, content)
    assert store.problems([shard], verify=True) == {shard.path: said}


@pytest.mark.parametrize("known", [True, False], ids=["record read", "record damaged"])
def test_a_commit_that_is_set_aside_is_gone(store: Store, *, known: bool) -> None:
    shards = committed(store)
    assert store.commit_names() == ["extract-00000000000a-0"]
    moved = store.set_aside("extract-00000000000a-0", shards if known else None, "quarantine/then")
    assert store.commit_names() == []
    assert moved[0].startswith("commits/"), "readers must not see a part of a commit"
    assert (shards[0].path in moved) == (shards[0].path not in shards_of(store))
    assert not known or shards[0].path in moved


def test_only_where_a_lock_tells_that_no_writer_is_at_it_a_file_is_deleted(store: Store) -> None:
    old, new = (_left(store, name) for name in ("old", "new"))
    os.utime(store.root / old, (0, 0))
    deleted = [path for path in (old, new) if store.delete_dead(path, timedelta(days=1))]
    assert deleted == ([old] if store.locks_reach_everyone else [])
    assert (store.root / new).exists()


def _left(store: Store, name: str) -> str:
    (store.root / f"commits/{name}.tmp").write_bytes(b"half")
    return f"commits/{name}.tmp"
