"""How long a reply may be: what is stored of its end, and what another budget runs again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from extract.answering import generating
from extract.models import default_budget, locate
from extract.models.registry import registry
from extract.models.session import Session
from extract.running import opening
from extract.running.batches import Runner
from extract.running.extraction import ExtractRequest, ExtractSummary, extract
from tests.checks import broken
from tests.extract.models.asked import read_prompt
from tests.tables import tables
from warehouse.errors import UsageError
from warehouse.files import checksum
from warehouse.lake.lake import Lake
from warehouse.vocabulary import DIRECT_TOKENS, REASONING_TOKENS

N = 6
LATER = (
    *("finish_reason", "n_tokens", "raw_text", "prompt_id", "option_order", "image_control"),
    "options",
    *("label_logprobs_per_token", "label_pmi", "end_token"),
)
ENDS = "SELECT finish_reason, n_tokens, count(*) FROM answer WHERE method = 'generate' GROUP BY ALL"


def _extract(lake: Lake, folder: Path, tokens: int | None, **changes: Any) -> ExtractSummary:
    asked = {"modules": ("connector",), "answers": ("generate",), "limit": N, **changes}
    return extract(lake, ExtractRequest(str(folder), "pictures", max_new_tokens=tokens, **asked))


def _replies(lake: Lake) -> dict[str, tuple[Any, ...]]:
    query = (
        "SELECT sample_id, text, finish_reason, n_tokens FROM answer WHERE method = 'generate' "
        "ORDER BY sample_id"
    )
    with tables(lake) as wh:
        rows = wh.sql(query).fetchall()
    found = {name: tuple(rest) for name, *rest in rows}
    assert len(found) == len(rows), "a reply stands twice"
    return found


def _as_before_ends_were_stored(lake: Lake) -> None:
    """The lake as an earlier version wrote it."""
    for record in (lake.root / "commits").glob("*.json"):
        commit = json.loads(record.read_text())
        commit["notes"].pop("check", None)
        commit["covers"].pop("replies", None)
        commit["covers"].pop("ends_counted", None)
        commit["schema"] = "0011_removed_run"
        for shard in commit["shards"]:
            path = lake.root / shard["path"]
            if shard["table"] == "answer":
                rows = pq.ParquetFile(path).read()
                pq.write_table(
                    rows.drop([name for name in LATER if name in rows.column_names]), path
                )
                shard |= {"bytes": path.stat().st_size, "checksum": checksum(path)}
        record.write_text(json.dumps(commit))
    lake.catalogue.unlink(missing_ok=True)


@pytest.mark.slow
def test_what_a_budget_cut_a_larger_one_runs_again(lake: Lake, llava_folder: Path) -> None:
    short = _extract(lake, llava_folder, 3)
    (note,) = (note for note in short.notes if "cut" in note)
    assert note == (
        f"{N} of {N} replies were cut after 3 tokens: run again with --max-new-tokens 24 for "
        "whole ones"
    )
    before = _replies(lake)
    assert {reply[1:] for reply in before.values()} == {("length", 3)}
    whole = _extract(lake, llava_folder, 5)
    assert whole.added
    assert whole.run_id != short.run_id
    after = _replies(lake)
    assert {reply[1:] for reply in after.values()} == {("length", 5)}
    assert all(after[name][0].startswith(before[name][0]) for name in before)
    with tables(lake) as wh:
        vectors = wh.sql("SELECT count(*), count(DISTINCT sample_id) FROM activation").fetchall()
    assert vectors == [(whole.n_vectors, N)]  # nothing but replies was run again
    lake.catalogue.unlink()
    assert _replies(lake) == after
    assert broken(lake) == set()


@pytest.mark.slow
def test_a_smaller_budget_finds_all_done(
    lake: Lake, llava_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _extract(lake, llava_folder, 4)
    before = _replies(lake)
    monkeypatch.setattr(opening, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    again = _extract(lake, llava_folder, 3)
    assert not again.added
    assert "cut after 4 tokens" in again.notes[-1]
    assert _replies(lake) == before


@pytest.mark.slow
def test_replies_of_an_older_lake_stand_unless_a_budget_is_asked_for(
    lake: Lake, llava_folder: Path
) -> None:
    first = _extract(lake, llava_folder, None)
    texts = {name: reply[0] for name, reply in _replies(lake).items()}
    _as_before_ends_were_stored(lake)
    again = _extract(lake, llava_folder, None)
    assert (again.added, again.run_id) == (False, first.run_id)
    assert _replies(lake) == {name: (text, None, None) for name, text in texts.items()}
    asked = _extract(lake, llava_folder, 5)
    assert asked.added
    assert {reply[1:] for reply in _replies(lake).values()} == {("length", 5)}


@pytest.mark.slow
def test_only_cut_replies_are_run_again(
    lake: Lake, llava_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = tuple(range(0, 600, 2))  # so many that some replies end at once
    monkeypatch.setattr(Session, "stop_tokens", property(lambda _: ends))
    _extract(lake, llava_folder, 1, limit=None)
    before = _replies(lake)
    cut = {name for name, reply in before.items() if reply[1] == "length"}
    assert 0 < len(cut) < len(before)
    _extract(lake, llava_folder, 4, limit=None)
    after = _replies(lake)
    assert all(after[name] == before[name] for name in before if name not in cut)
    assert all(after[name][2] > 1 for name in cut)


@pytest.mark.parametrize("tokens", [0, -1])
def test_a_reply_has_at_least_one_token(lake: Lake, llava_folder: Path, tokens: int) -> None:
    with pytest.raises(UsageError, match="at least 1 token"):
        _extract(lake, llava_folder, tokens)


def test_a_budget_without_replies_means_nothing(lake: Lake, llava_folder: Path) -> None:
    with pytest.raises(UsageError, match="generate"):
        _extract(lake, llava_folder, 5, answers=("likelihood",))


def test_the_default_is_the_registrys_or_by_the_chat_template(
    llava_folder: Path, tmp_path: Path
) -> None:
    def default(folder: Path, **options: int) -> int:
        source = locate(str(folder), **options)
        return default_budget(source, read_prompt(source, "?").template)

    assert default(llava_folder) == DIRECT_TOKENS
    thinking = tmp_path / "thinking"
    thinking.mkdir()
    for path in llava_folder.iterdir():
        (thinking / path.name).symlink_to(path)
    template = thinking / "chat_template.jinja"
    opened = template.read_text() + "{% if add_generation_prompt %}<think>\n{% endif %}"
    template.unlink()
    template.write_text(opened)
    assert default(thinking) == REASONING_TOKENS
    assert default(thinking, random_seed=0) == DIRECT_TOKENS
    known = {name: entry.max_new_tokens for name, entry in registry().items()}
    assert (known["hulu-med-7b"], known["tiny-digits"]) == (8192, None)


@pytest.mark.slow
def test_long_replies_of_several_batches_go_on_together(
    lake: Lake,
    registered_lake: Path,
    llava_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends = tuple(range(0, 600, 2))
    monkeypatch.setattr(Session, "stop_tokens", property(lambda _: ends))
    _extract(lake, llava_folder, 6, limit=None, batch_size=4)
    expected = _replies(lake)
    assert len({reply[-1] for reply in expected.values()}) > 1
    sizes: list[int] = []
    run = Runner.run

    def noted(self: Runner, prepared: Any, *args: Any, hurried: bool = False) -> Any:
        if not hurried:
            sizes.append(len(prepared.sample_ids))
        return run(self, prepared, *args, hurried=hurried)

    monkeypatch.setattr(generating, "PATIENCE", 1)
    monkeypatch.setattr(Runner, "run", noted)
    other = Lake.at(tmp_path / "other")
    shutil.copytree(registered_lake, other.root)
    _extract(other, llava_folder, 6, limit=None, batch_size=4)
    assert _replies(other) == expected
    assert max(sizes) > 1
