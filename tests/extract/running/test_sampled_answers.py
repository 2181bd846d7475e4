"""Several drawn replies to a question: what is stored, done again, interrupted and refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from extract.answers import reparse
from extract.datasets import AddOptions, ReadOptions, add
from extract.running import opening
from extract.running.extraction import ExtractRequest, ExtractSummary, extract
from tests.checks import broken
from tests.tables import tables
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import remove
from warehouse.lake.lake import Lake

N, METHOD = 6, "sampled:3x0.8"
DRAWS = (
    "SELECT sample_id, draw, seed, predicted_class_index, text, finish_reason, n_tokens "
    "FROM reply_draw WHERE method = $1 ORDER BY sample_id, draw"
)


def _extract(lake: Lake, folder: Path, **changes: Any) -> ExtractSummary:
    asked = {"modules": ("connector",), "answers": ("generate",), "limit": N, "max_new_tokens": 4}
    asked |= {"samples": 3, "temperature": 0.8}
    return extract(lake, ExtractRequest(str(folder), "pictures", **asked | changes))


def _draws(lake: Lake, method: str = METHOD) -> list[tuple[Any, ...]]:
    with tables(lake) as wh:
        return wh.sql(DRAWS, [method]).fetchall()


def _copy(registered_lake: Path, folder: Path) -> Lake:
    shutil.copytree(registered_lake, folder)
    return Lake.at(folder)


def test_draws_and_their_majority_are_stored_beside_the_greedy_answer(
    lake: Lake, llava_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = _extract(lake, llava_folder)
    assert f"{N} of {N} answers rest on draws of which some were cut after 4 tokens" in " ".join(
        summary.notes
    )
    rows = _draws(lake)
    assert len(rows) == 3 * N
    assert len({row[2] for row in rows}) == 3 * N  # a seed each
    assert len({row[4] for row in rows}) > N  # and texts of their own
    with connect(lake) as wh:
        methods = wh.sql("SELECT method, count(*) FROM answer GROUP BY ALL ORDER BY ALL").fetchall()
        counted = wh.sql("SELECT DISTINCT method, n_draws FROM reply_agreement").fetchall()
        scored = wh.sql("SELECT DISTINCT method FROM answer_accuracy ORDER BY ALL").fetchall()
    assert methods == [("generate", N), (METHOD, N)]
    assert counted == [(METHOD, 3)]
    assert scored == [("generate",), (METHOD,)]
    assert broken(lake) == set()
    monkeypatch.setattr(opening, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    again = _extract(lake, llava_folder)
    assert (again.added, again.run_id) == (False, summary.run_id)


@pytest.mark.slow
def test_draws_are_the_same_in_any_batch_order_and_after_an_interruption(
    lake: Lake, registered_lake: Path, llava_folder: Path, tmp_path: Path
) -> None:
    _extract(lake, llava_folder, limit=None)
    other = _copy(registered_lake, tmp_path / "other")
    _extract(other, llava_folder, limit=5, batch_size=2)  # as one who was stopped leaves it
    first = _draws(other)
    _extract(other, llava_folder, limit=None, batch_size=5)
    assert set(first) < set(_draws(other))
    assert _draws(other) == _draws(lake)
    with tables(other) as wh:
        runs = wh.sql("SELECT count(DISTINCT run_id) FROM reply_draw").fetchall()
    assert runs == [(2,)]  # what was there was not drawn again


@pytest.mark.slow
def test_another_temperature_and_number_are_answers_of_their_own(
    lake: Lake, llava_folder: Path
) -> None:
    _extract(lake, llava_folder)
    before = _draws(lake)
    colder = _extract(lake, llava_folder, temperature=0.2)
    more = _extract(lake, llava_folder, samples=4)
    assert colder.run_id != more.run_id
    assert _draws(lake) == before
    assert len(_draws(lake, "sampled:3x0.2")) == 3 * N
    assert [row for row in _draws(lake, "sampled:4x0.8") if row[1] < 3] == before
    assert _draws(lake, "sampled:3x0.2") != before


@pytest.mark.slow
def test_what_a_budget_cut_is_drawn_again_with_a_larger_one(lake: Lake, llava_folder: Path) -> None:
    _extract(lake, llava_folder)
    before = _draws(lake)
    _extract(lake, llava_folder, max_new_tokens=6)
    after = _draws(lake)
    assert {row[-1] for row in after if row[5] == "length"} == {6}
    assert len(after) == len(before)
    assert all(new[4].startswith(old[4]) for old, new in zip(before, after, strict=True))


@pytest.mark.slow
def test_without_samples_a_run_is_the_one_it_was(lake: Lake, llava_folder: Path) -> None:
    plain = _extract(lake, llava_folder, samples=None, temperature=None)
    with tables(lake) as wh:
        ((config,),) = wh.sql("SELECT config FROM run WHERE command = 'extract'").fetchall()
    assert "samples" not in config
    assert _extract(lake, llava_folder).run_id != plain.run_id
    with tables(lake) as wh:  # the greedy answers stay those of the first run
        query = "SELECT DISTINCT run_id FROM answer WHERE method = 'generate'"
        assert wh.sql(query).fetchall() == [(plain.run_id,)]


def test_draws_are_swept_over_prompts_as_other_answers_are(lake: Lake, llava_folder: Path) -> None:
    _extract(
        lake,
        llava_folder,
        modules=(),
        answers_only=True,
        prompts=("default", "letters"),
        orders="rotate",
    )
    with tables(lake) as wh:
        query = "SELECT DISTINCT prompt_id, option_order FROM reply_draw ORDER BY ALL"
        asked = wh.sql(query).fetchall()
    assert asked == [(p, o) for p in ("default", "letters") for o in ("given", "rotated:1")]


@pytest.mark.slow
def test_draws_are_read_anew_and_so_is_what_most_of_them_name(
    lake: Lake, llava_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        read = iter([0, 1, 1] * 99)
        patch.setattr("extract.answering.methods.parse_reply", lambda *_, **__: next(read))
        _extract(lake, llava_folder, answers=("generate",), limit=2)
    wrong = _draws(lake)
    assert any(row[3] is not None for row in wrong)
    (one,) = reparse(lake)
    assert one.changes
    after = _draws(lake)
    assert [row[:3] + row[4:] for row in after] == [row[:3] + row[4:] for row in wrong]
    assert {row[3] for row in after} == {None}  # random weights name no class
    with tables(lake) as wh:
        query = "SELECT predicted_class_index, parsed, text FROM answer WHERE method = $1"
        named = wh.sql(query, [METHOD]).fetchall()
    assert {row[:2] for row in named} == {(None, False)}
    assert {row[2] for row in named} <= {row[4] for row in after}
    assert broken(lake) == set()
    assert reparse(lake)[0].changes == ()


def test_a_removed_model_takes_its_draws_along(lake: Lake, llava_folder: Path) -> None:
    summary = _extract(lake, llava_folder)
    remove(lake, "model", summary.model_id)
    assert _draws(lake) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"samples": None}, "greedy replies have no temperature"),
        ({"temperature": None}, "need a --temperature"),
        ({"samples": 1}, "at least 2 samples"),
        ({"samples": 0}, "at least 2 samples"),
        ({"temperature": 0.0}, "must lie between 0.01 and 100"),
        ({"temperature": -1.0}, "must lie between 0.01 and 100"),
        ({"temperature": float("nan")}, "must lie between 0.01 and 100"),
        ({"temperature": float("inf")}, "must lie between 0.01 and 100"),
        ({"answers": ("likelihood",), "max_new_tokens": None}, "add the answer generate"),
        ({"answers": (), "max_new_tokens": None}, "add the answer generate"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    lake: Lake, llava_folder: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        _extract(lake, llava_folder, **changes)


def test_images_without_labels_have_no_majority(
    lake: Lake, llava_folder: Path, pictures: Path
) -> None:
    add(lake, "bare", pictures, AddOptions(reading=ReadOptions(unlabelled=True)))
    asked = ExtractRequest(str(llava_folder), "bare", samples=2, temperature=1.0)
    with pytest.raises(LayerhouseError, match="a majority of samples"):
        extract(lake, asked)
