"""What is on the disk if the power fails, replayed from the order of syncs and renames.

A run is written for real while every sync of a file or folder and every rename is noted. From the
notes the disk is rebuilt as it may be after a power cut at each moment: a file's bytes are sure
only once it was synced, a name only once its folder was.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from tests.warehouse.small_lakes import activation_rows, add_dataset, extract_spec, rows
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunWriter

Disk = dict[Path, bytes]
SAMPLES = ("s0", "s1")
SAMPLE = 5
"""The place of sample_id in the rows of `activation`."""


@dataclass
class Journal:
    """The disk below `root` after every sync and rename, for the cautious and the eager kernel.

    The cautious one writes names only when a folder is synced, the eager one at once; neither
    writes bytes before their file is synced.
    """

    root: Path
    cautious: list[Disk] = field(default_factory=list)
    eager: list[Disk] = field(default_factory=list)
    _bytes: dict[int, bytes] = field(default_factory=dict)
    _folders: dict[Path, set[str]] = field(default_factory=dict)

    def synced(self, path: Path) -> None:
        if path.is_dir():
            self._folders[path] = {one.name for one in path.iterdir()}
        else:
            self._bytes[path.stat().st_ino] = path.read_bytes()
        self.note()

    def note(self) -> None:
        here = [path for path in self.root.rglob("*") if path.is_file()]
        now = {path: self._bytes.get(path.stat().st_ino, b"") for path in here}
        self.eager.append(now)
        self.cautious.append({path: held for path, held in now.items() if self._is_named(path)})

    def _is_named(self, path: Path) -> bool:
        """Whether the file's name and those of all its folders are on the disk for sure."""
        while path != self.root:
            if path.name not in self._folders.get(path.parent, ()):
                return False
            path = path.parent
        return True


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Journal]:
    def write() -> Journal:
        lake = Lake.at(tmp_path / "lake")
        add_dataset(lake)
        journal = Journal(lake.root)
        for folder in [lake.root, *(p for p in lake.root.rglob("*") if p.is_dir())]:
            journal.synced(folder)  # what was there before is taken to be safe
        for path in lake.root.rglob("*"):
            journal.synced(path)
        journal.cautious.clear()
        journal.eager.clear()
        journal.note()
        fsync, replace = os.fsync, Path.replace

        def noted_fsync(descriptor: int) -> None:
            fsync(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if path.is_relative_to(lake.root):
                journal.synced(path)

        def noted_replace(path: Path, target: Path) -> Path:
            moved = replace(path, target)
            journal.note()
            return moved

        monkeypatch.setattr(os, "fsync", noted_fsync)
        monkeypatch.setattr(Path, "replace", noted_replace)
        with RunWriter(lake, extract_spec()) as writer:
            for index, sample in enumerate(SAMPLES):
                writer.commit({"activation": activation_rows([sample])}, covers={"start": index})
            writer.finish()
        monkeypatch.undo()
        return journal

    return write


def visible(disk: Disk, root: Path, folder: Path) -> int:
    """Rebuild the disk in a folder; how many samples of the run a reader of it sees."""
    for path, held in disk.items():
        to = folder / path.relative_to(root)
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(held)
    each = Counter(row[SAMPLE] for row in rows(Lake.at(folder), "activation"))
    assert set(each.values()) <= {len(activation_rows(["s0"]))}, f"a range is there in part: {each}"
    assert sorted(each) == list(SAMPLES[: len(each)]), "a later commit outlived an earlier one"
    return len(each)


@pytest.mark.parametrize("kernel", ["cautious", pytest.param("eager", marks=pytest.mark.slow)])
def test_a_power_cut_at_any_moment_leaves_whole_commits(
    written: Callable[[], Journal], tmp_path: Path, kernel: str
) -> None:
    journal = written()
    disks = getattr(journal, kernel)
    changes = [disk for before, disk in pairwise([{}, *disks]) if disk != before]
    seen = [visible(d, journal.root, tmp_path / f"after-{i}") for i, d in enumerate(changes)]
    assert seen == sorted(seen), "what was committed went away again"
    assert (seen[0], seen[-1]) == (0, len(SAMPLES))


@pytest.mark.parametrize(
    ("broken", "kernel"),
    [("warehouse.files.sync", "eager"), ("warehouse.files.put_in_place", "cautious")],
)
def test_the_replay_notices_an_order_that_is_not_safe(
    written: Callable[[], Journal],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
    kernel: str,
) -> None:
    """Planted: bytes that are never synced, and names whose folders are never synced."""
    if broken.endswith("put_in_place"):
        monkeypatch.setattr(broken, lambda temporary, path: temporary.replace(path))
    else:
        monkeypatch.setattr(broken, lambda _: None)
    with pytest.raises((AssertionError, LayerhouseError)):
        test_a_power_cut_at_any_moment_leaves_whole_commits(written, tmp_path, kernel)
