"""Replies of several batches come together, and are those that each batch alone would give."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from extract.answering import joining
from extract.running import batches, together
from extract.running.batch_size import BatchSize
from extract.running.batches import Runner
from extract.running.extraction import ExtractRequest, extract
from extract.running.ranges import MOST_WAITING
from extract.running.together import Together, Waiting
from tests.extract.conftest import FamilyFolders
from tests.tables import tables
from warehouse.lake.lake import Lake

SIZE, N = 3, 12
JOINED = ("qwen2_5_vl",)
"""Prompts of many widths, with positions by row and column."""
LIKE_THEM = ("llava", "llava_next", "qwen3_vl", "idefics3")
ALONE = ("mllama", "qwen3_5")
"""Cross-attention and linear attention keep more than keys and values."""


def _extracted(lake: Lake, folder: Path, **asked: Any) -> tuple[dict[Any, Any], list[str]]:
    """What a model answers, and the notes of the run, in a copy of the lake."""
    copy = Lake.at(lake.root.parent / f"copy{len(list(lake.root.parent.iterdir()))}")
    shutil.copytree(lake.root, copy.root)
    given = {"batch_size": SIZE, "max_new_tokens": 6, "readouts": ("last",), **asked}
    summary = extract(copy, ExtractRequest(str(folder), "pictures", **given))
    with tables(copy) as wh:
        rows = wh.sql(
            "SELECT sample_id, method, prompt_id, raw_text, finish_reason, predicted_class_index "
            "FROM answer"
        ).fetchall()
        vectors = wh.sql("FROM activation LIMIT 1").fetchall()
    found = {tuple(row[:3]): tuple(row[3:]) for row in rows}
    assert len(found) == len(rows) >= 2 * N
    assert vectors or asked.get("answers_only")
    return found, list(summary.notes)


@pytest.fixture
def joins(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many batches were joined each time."""
    seen: list[int] = []

    def noted(session: Any, held: Any) -> Any:
        seen.append(len(held))
        return joining.joined(session, held)

    monkeypatch.setattr(together, "joined", noted)
    return seen


def _never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "hold", lambda *_: None)


@pytest.mark.parametrize(
    "family", [*JOINED, *(pytest.param(name, marks=pytest.mark.slow) for name in LIKE_THEM)]
)
def test_replies_of_joined_batches_are_those_of_each(
    family: str,
    lake: Lake,
    family_folder: FamilyFolders,
    joins: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, _ = _extracted(lake, family_folder(family))
    assert max(joins) > 1
    assert len({said for (*_, method, _), (said, *_) in found.items() if method == "generate"}) > 3
    _never(monkeypatch)
    expected, _ = _extracted(lake, family_folder(family))
    assert found == expected


@pytest.mark.parametrize("family", ALONE)
def test_what_cannot_be_joined_answers_batch_by_batch(
    family: str, lake: Lake, family_folder: FamilyFolders, joins: list[int]
) -> None:
    _extracted(lake, family_folder(family))
    assert joins == []


def test_a_sweep_joins_what_is_asked_alike(
    lake: Lake, llava_folder: Path, joins: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"answers_only": True, "prompts": ("default", "letters"), "readouts": ()}
    found, _ = _extracted(lake, llava_folder, **asked)
    assert len(joins) == 2
    _never(monkeypatch)
    assert found == _extracted(lake, llava_folder, **asked)[0]


@pytest.mark.slow
def test_no_more_wait_than_memory_is_meant_to_hold(
    lake: Lake, llava_folder: Path, joins: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = _extracted(lake, llava_folder)
    joins.clear()
    monkeypatch.setattr(together, "MOST_BYTES", 1)
    assert _extracted(lake, llava_folder)[0] == expected
    assert joins == [1] * (N // SIZE)


@pytest.mark.slow
def test_replies_that_come_when_no_prompt_may_wait_are_generated_again(
    lake: Lake, llava_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = _extracted(lake, llava_folder)
    monkeypatch.setattr(Together, "add", lambda *_: False)
    assert _extracted(lake, llava_folder)[0] == expected


@pytest.mark.slow
def test_where_memory_runs_out_over_joined_prompts_none_wait_any_longer(
    lake: Lake, llava_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = _extracted(lake, llava_folder)

    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(together, "joined", full)
    found, notes = _extracted(lake, llava_folder)
    assert found == expected
    assert not any("out of memory" in note for note in notes)


@pytest.mark.slow
def test_a_batch_that_does_not_fit_beside_waiting_prompts_is_not_made_smaller(
    lake: Lake, llava_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only memory that the batch itself lacks makes batches smaller."""
    expected, _ = _extracted(lake, llava_folder)
    run, sizes = Runner.run, []

    def crowded(self: Runner, prepared: Any, *args: Any, **kwargs: Any) -> Any:
        sizes.append(len(prepared.sample_ids))
        if self._together._waiting:
            raise torch.OutOfMemoryError
        return run(self, prepared, *args, **kwargs)

    monkeypatch.setattr(Runner, "run", crowded)
    monkeypatch.setattr(BatchSize, "halve", lambda *_: pytest.fail("made smaller"))
    assert _extracted(lake, llava_folder)[0] == expected
    assert set(sizes) == {SIZE}


def test_ranges_do_not_wait_without_end(
    lake: Lake, llava_folder: Path, joins: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where every batch is of another width, none fills up by itself."""
    add, n = Together.add, iter(range(100))

    def unlike(self: Together, one: Waiting) -> bool:
        held = joining.HeldPrompt(one.held.prompted, next(n), one.held.deltas)
        return add(self, Waiting(one.asked, one.question, one.names, held))

    monkeypatch.setattr(Together, "add", unlike)
    monkeypatch.setattr("extract.sharing.coverage.MOST_SAMPLES", 1)
    found, _ = _extracted(lake, llava_folder, batch_size=1)
    assert len(found) == 2 * N
    assert joins == [1] * N
    assert N > MOST_WAITING
