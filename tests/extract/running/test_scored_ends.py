"""Likelihoods that count the end of a reply, and lakes from before they did."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from extract.datasets import add
from extract.models.sources import locate
from extract.running.extraction import ExtractRequest, ExtractSummary, extract
from tests.checks import broken
from tests.extract.running.test_reply_budgets import _as_before_ends_were_stored
from warehouse.catalogue.refreshing import connect
from warehouse.lake.lake import Lake

COLUMNS = "label_logprobs, label_logprobs_per_token, label_pmi, end_token"


def _extract(lake: Lake, folder: Path, limit: int = 6) -> ExtractSummary:
    asked: dict[str, Any] = {"modules": ("connector",), "answers": ("likelihood",)}
    return extract(lake, ExtractRequest(str(folder), "pictures", limit=limit, **asked))


def _rows(lake: Lake) -> list[tuple[Any, ...]]:
    with connect(lake) as wh:
        return wh.sql(f"SELECT sample_id, {COLUMNS} FROM answer ORDER BY sample_id").fetchall()


@pytest.mark.slow
def test_scores_say_how_they_end_and_stand_corrected(lake: Lake, llava_folder: Path) -> None:
    _extract(lake, llava_folder)
    rows = _rows(lake)
    assert {row[-1] for row in rows} == {"</s>"}
    lengths = {
        tuple(round(s / p, 3) for s, p in zip(sums, each, strict=True))
        for _, sums, each, _, _ in rows
    }
    assert len(lengths) == 1
    priors = [[s - p for s, p in zip(row[1], row[3], strict=True)] for row in rows]
    for prior in priors:
        assert prior == pytest.approx(priors[0], abs=1e-4)
    with connect(lake) as wh:
        found = wh.sql("SELECT DISTINCT score, counts_end FROM likelihood_accuracy").fetchall()
    assert sorted(found) == [("per_token", True), ("pmi", True), ("sum", True)]
    assert broken(lake) == set()


@pytest.mark.slow
def test_a_lake_from_before_keeps_its_numbers_and_goes_on_as_it_was_begun(
    lake: Lake, llava_folder: Path
) -> None:
    _extract(lake, llava_folder, limit=3)
    _as_before_ends_were_stored(lake)
    before = _rows(lake)
    assert {row[2:] for row in before} == {(None, None, None)}
    assert not _extract(lake, llava_folder, limit=3).added
    assert _rows(lake) == before
    more = _extract(lake, llava_folder)
    assert any("go on as they were begun" in note for note in more.notes)
    rows = _rows(lake)
    assert len(rows) == 6
    assert [row for row in rows if row in before] == before
    assert {row[2:] for row in rows} == {(None, None, None)}


@pytest.mark.parametrize(("answer", "n_lines"), [("likelihood", 1), ("generate", 0)])
def test_likelihoods_within_reasoning_are_told_of(
    lake: Lake, tmp_path: Path, answer: str, n_lines: int
) -> None:
    """A template that opens reasoning leaves no place for a class right behind the prompt."""
    folder = Path(shutil.copytree(locate("tiny-digits").folder, tmp_path / "model"))
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("ASSISTANT:{%", "ASSISTANT:<think>{%"))
    asked: dict[str, Any] = {"modules": ("connector",), "answers": (answer,), "limit": 2}
    if answer == "generate":
        asked["max_new_tokens"] = 4
    request = ExtractRequest(str(folder), "pictures", preparers=0, **asked)
    said = [note for note in extract(lake, request).notes if "within reasoning" in note]
    assert len(said) == n_lines


@pytest.mark.parametrize(("prompt", "n_lines"), [("default", 1), ("letters", 0)])
def test_names_that_begin_alike_are_told_of_where_they_are_what_is_answered(
    lake: Lake, pictures: Path, tmp_path: Path, prompt: str, n_lines: int
) -> None:
    for label, named in (("4", "benign"), ("4a", "malignant")):
        shutil.copytree(pictures / named, tmp_path / "set" / label)
    add(lake, "grades", tmp_path / "set")
    asked: dict[str, Any] = {"modules": ("connector",), "answers": ("likelihood",)}
    request = ExtractRequest("tiny-digits", "grades", prompts=(prompt,), preparers=0, **asked)
    said = [note for note in extract(lake, request).notes if "begin alike" in note]
    assert len(said) == n_lines
