"""Weights are known by every byte of their files, and unchanged files are read once."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import pytest

from extract.models import digests, fingerprints
from extract.models.fingerprints import fingerprint_by_windows, fingerprint_weights
from warehouse.errors import LayerhouseError
from warehouse.progress import listening

SIZE = 50_000


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fingerprints, "LARGE_FILE", 10_000)
    monkeypatch.setattr(fingerprints, "WINDOW", 16)
    monkeypatch.setattr(digests, "LEAF", 4096)
    monkeypatch.setattr(digests, "BLOCK", 1000)
    monkeypatch.setattr(digests, "SETTLED", 0)  # these files are of this very moment
    monkeypatch.setenv("LAYERHOUSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text("{}")
    header = b'{"w":{"dtype":"U8"}}'
    data = random.Random(0).randbytes(SIZE)
    for name in ("a", "b"):
        content = len(header).to_bytes(8, "little") + header + data
        (made / f"model-{name}.safetensors").write_bytes(content)
    (made / "small.safetensors").write_bytes(b"few bytes")
    return made


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read whole."""
    found: list[Path] = []
    read = digests.tree_digest
    monkeypatch.setattr(fingerprints, "tree_digest", lambda path: found.append(path) or read(path))
    return found


def test_any_bit_of_any_file_counts(folder: Path) -> None:
    before, windows = fingerprint_weights(folder), fingerprint_by_windows(folder)
    assert before.startswith("whole:")
    unseen, chance = 0, random.Random(1)
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        for _ in range(20):
            flipped = bytearray(content)
            flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            path.write_bytes(flipped)
            assert fingerprint_weights(folder) != before, path
            unseen += fingerprint_by_windows(folder) == windows
        path.write_bytes(content)
    assert unseen > 20, "the bits that windows do not see are what this is about"
    assert fingerprint_weights(folder) == before


def test_the_digest_is_that_of_a_tree(folder: Path) -> None:
    """As docs/adding-a-model.md says; any other way to read the file gives the same."""
    path = folder / "model-a.safetensors"
    content = path.read_bytes()
    parts = [content[start : start + 4096] for start in range(0, len(content), 4096)]
    leaves = b"".join(blake2b(part, digest_size=32).digest() for part in parts)
    assert digests.tree_digest(path) == blake2b(leaves, digest_size=32).digest()


def test_files_that_did_not_change_are_read_once(folder: Path, reads: list[Path]) -> None:
    first = fingerprint_weights(folder)
    assert len(reads) == 4
    assert fingerprint_weights(folder) == first
    assert len(reads) == 4
    fingerprint_weights(folder, config=None)
    assert len(reads) == 7, "without its configuration it is something else"


def _same_dates(path: Path, change: Callable[[bytearray], None]) -> None:
    """Change a file in place; its size, inode and date of change stay."""
    about, content = path.stat(), bytearray(path.read_bytes())
    change(content)
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def _invert(content: bytearray) -> None:
    content[-20] ^= 1


def test_another_file_is_never_served_from_memory(
    folder: Path, tmp_path: Path, reads: list[Path]
) -> None:
    before, path = fingerprint_weights(folder), folder / "model-a.safetensors"
    _same_dates(path, _invert)
    changed = fingerprint_weights(folder)
    assert changed != before
    other = tmp_path / "other"
    shutil.copy2(path, other)
    _same_dates(other, _invert)
    other.replace(path)  # of the same name, size and date
    assert fingerprint_weights(folder) == before
    moved = folder.rename(tmp_path / "moved")
    folder.mkdir()
    for each in moved.iterdir():
        shutil.copy2(each, folder)
    _same_dates(path, _invert)
    assert fingerprint_weights(folder) == changed
    assert len(reads) == 16


def test_windows_are_looked_at_even_where_no_date_is_new(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a disk does to a file that errs without a new date."""
    monkeypatch.setattr(digests, "_state", lambda files: [[f.name, 1, 1, 1, 1] for f in files])
    before = fingerprint_weights(folder)
    _same_dates(folder / "model-a.safetensors", lambda content: content.__setitem__(-3, 0))
    assert fingerprint_weights(folder) != before


def _memory(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "cache" / "weights").iterdir()
    return found


def test_a_damaged_memory_is_never_served(folder: Path, tmp_path: Path) -> None:
    before = fingerprint_weights(folder)
    memory = _memory(tmp_path)
    content, chance = memory.read_bytes(), random.Random(2)
    for _ in range(300):
        harmed = bytearray(content)
        harmed[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        memory.write_bytes(harmed)
        assert fingerprint_weights(folder) == before
    for text in ("", "[]", '{"digest": "whole:0"}', content.decode()[:-9], "[" * 10**5):
        memory.write_text(text)
        assert fingerprint_weights(folder) == before
    assert json.loads(_memory(tmp_path).read_bytes())["digest"] == before


@pytest.mark.parametrize("kind", ["a file", "no home", "unwritable"])
def test_without_a_cache_folder_nothing_is_remembered(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[Path], kind: str
) -> None:
    if kind == "a file":
        (tmp_path / "cache").write_text("no folder")
    elif kind == "no home":
        monkeypatch.setattr(digests, "cache_folder", _no_home)
    else:
        monkeypatch.setenv("LAYERHOUSE_CACHE", "/proc/none")
    assert fingerprint_weights(folder) == fingerprint_weights(folder)
    assert len(reads) == 8


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_files_of_this_moment_are_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, reads: list[Path]
) -> None:
    """Within the same tick of the clock they could change once more unseen."""
    monkeypatch.setattr(digests, "SETTLED", 10**12)
    fingerprint_weights(folder)
    fingerprint_weights(folder)
    assert len(reads) == 8


def test_a_file_that_changes_while_it_is_read_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def growing(path: Path) -> bytes:
        with path.open("ab") as file:
            file.write(b"more")
        return b""

    monkeypatch.setattr(fingerprints, "tree_digest", growing)
    with pytest.raises(LayerhouseError, match="model changed while they were read"):
        fingerprint_weights(folder)


def test_small_files_have_the_identity_that_they_always_had(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fingerprints, "LARGE_FILE", 60_000)
    many = fingerprint_weights(folder)
    assert _memory(tmp_path), "many of them are remembered"
    monkeypatch.setattr(fingerprints, "LARGE_FILE", 10**9)
    assert fingerprint_weights(folder) == many == fingerprint_by_windows(folder)
    digest = blake2b(digest_size=8)
    for path in sorted(folder.iterdir()):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    assert many == digest.hexdigest()


def test_who_waits_for_weights_to_be_read_is_told_how_far_that_is(folder: Path) -> None:
    told: list[tuple[int, int, str]] = []
    with listening(lambda done, total, note="": told.append((done, total, note))):
        fingerprint_weights(folder)
        read = len(told)
        fingerprint_weights(folder)
    assert len(told) == read > 2
    mine = [each for each in told if ".safetensors hashed, which is done once" in each[2]]
    mine = mine[: len(mine) // 2]
    assert [done for done, *_ in mine] == list(range(1, mine[0][1] + 1))
    fingerprint_weights(folder.parent / "model")  # with nobody listening
