"""Answers from elsewhere, what a judge and reparse said, what lies in quarantine, whatever it is:
refused in one sentence, or taken as it stands; nothing that counts is lost."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from extract.answers import ImportOptions, export_answers, import_answers, judging, reparse
from tests.extract.answers.lake import DATASET, MODEL, SAMPLES, answers_lake, lines, plain_rows
from tests.trust.fuzzing import FUZZED, HOSTILE, Field, examples, fields_of, written_otherwise
from tests.warehouse.small_lakes import rows_of, small_lake
from warehouse.catalogue.refreshing import connect, refresh
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake, RunSpec, RunWriter, free, repair, restore, sweep
from warehouse.status import status

EXAMPLES = examples(60)
JUDGE = {"judge": "j", "identity": {"sha256": "0"}}
TITLED = ImportOptions(title="GPT-X")
RICH = {
    "question": "What is it?",
    "options": ["benign", "malignant"],
    "scores": [-1.0, -2.0],
    "finish_reason": "stop",
    "label": "benign",
    "image_path": "benign/img_a.png",
}
WORDS = st.sampled_from(HOSTILE) | st.text(max_size=30) | st.floats() | st.integers()
NESTED = st.lists(WORDS, max_size=3) | st.dictionaries(st.text(max_size=5), WORDS, max_size=3)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)


def _check_said(error: LayerhouseError) -> None:
    assert str(error).isprintable(), ascii(str(error))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return answers_lake(tmp_path_factory.mktemp("imports") / "lake")


@pytest.mark.slow
def test_an_imported_file_of_any_cells_is_refused_or_read_back(known: Lake, tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()

    @settings(FUZZED, max_examples=max(EXAMPLES // 6, 8))
    @given(
        st.lists(
            st.tuples(
                st.integers(0, len(SAMPLES) - 1),
                st.sampled_from(["sample_id", "reply", *RICH]),
                WORDS | NESTED,
            ),
            min_size=1,
            max_size=3,
        ),
        st.sets(st.sampled_from(sorted(RICH)), max_size=2),
        st.booleans(),
    )
    def fuzz(changes: list[tuple[int, str, Any]], more: set[str], skips: bool) -> None:
        rows = plain_rows(**{name: RICH[name] for name in more})
        for place, name, value in changes:
            rows[place][name] = value
        path = tmp_path / "a.jsonl"
        path.write_text("".join(_json(row) + "\n" for row in rows))
        lake = Lake.at(tmp_path / "lake")
        shutil.rmtree(lake.root, ignore_errors=True)
        shutil.copytree(known.root, lake.root)
        try:
            given = ImportOptions(title="GPT-X", skip_unknown=skips)
            summary = import_answers(lake, path, MODEL, DATASET, given)
        except LayerhouseError as error:
            outcomes["refused"] += 1
            _check_said(error)
            assert not list(lake.commits_dir.glob("answers-import*"))
            return
        outcomes["taken"] += 1
        with connect(lake) as wh:
            held = wh.sql("SELECT count(*), sum(parsed::INT) FROM answer").fetchall()
            wh.sql("FROM answer_accuracy").fetchall()
            assert not wh.sql("FROM unbuilt_view").fetchall()
        assert held == [(summary.n, summary.n_parsed)]

    fuzz()
    assert set(outcomes) == {"refused", "taken"}, outcomes
    sys.stdout.write(f"imported files fuzzed: {dict(outcomes)}\n")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Imported replies that were judged, and reparsed since."""
    folder = tmp_path_factory.mktemp("judged")
    lake = answers_lake(folder / "lake")
    import_answers(lake, lines(folder / "a.jsonl", plain_rows()), MODEL, DATASET, TITLED)
    with connect(lake) as wh:
        rows = wh.sql("SELECT * EXCLUDE (run_id) FROM answer").pl().to_dicts()
    judged = [{**row, "method": "judged:j:" + row["method"]} for row in rows]
    spec = RunSpec(judging.COMMAND, MODEL, DATASET, JUDGE)
    with RunWriter(lake, spec) as writer:
        covers = {"replaces": ["answer"], "judged": 0}
        writer.commit({"answer": judged}, covers, finished=True)
    wrong = [{**row, "predicted_class_index": 1 - row["predicted_class_index"]} for row in rows]
    with RunWriter(lake, RunSpec("answers-reparse", MODEL, DATASET, {})) as writer:
        writer.commit({"answer": wrong}, {"replaces": ["answer"]}, finished=True)
    refresh(lake)
    return lake


def _consult(lake: Lake, folder: Path) -> None:
    """All that reads what such runs say of themselves."""
    spec = RunSpec(judging.COMMAND, MODEL, DATASET, JUDGE)
    judging._refuse_other_judge(lake, spec)
    reparse(lake, dry_run=True)
    import_answers(lake, folder / "a.jsonl", MODEL, DATASET, TITLED)


@pytest.mark.slow
def test_what_runs_of_answers_say_is_refused_or_gone_by(told: Lake, tmp_path: Path) -> None:
    lake = Lake.at(shutil.copytree(told.root, tmp_path / "lake"))
    lines(tmp_path / "a.jsonl", plain_rows())
    held = sorted(path.name for path in lake.commits_dir.glob("answers-*.json"))
    fields = fields_of((lake.commits_dir / name for name in held), "covers", "notes", "run")
    for name in ("judge", "identity", "judged", "method", "replaces"):
        assert any(name in place for _, place in fields), name
    outcomes: Counter[str] = Counter()

    @settings(FUZZED, max_examples=max(EXAMPLES // 3, 20))
    @given(st.sampled_from(fields), WORDS | NESTED, st.sampled_from(["set", "add", "drop"]))
    def fuzz(field: Field, value: Any, how: str) -> None:
        try:
            with written_otherwise(field, value, how):
                _consult(lake, tmp_path)
            outcomes["gone by"] += 1
        except LayerhouseError as error:
            outcomes["refused"] += 1
            _check_said(error)
        finally:
            for new in {each.name for each in lake.commits_dir.glob("answers-*")} - {*held}:
                (lake.commits_dir / new).unlink()  # what was imported by another record of it

    fuzz()
    assert set(outcomes) == {"refused", "gone by"}, outcomes
    sys.stdout.write(f"fields of runs of answers fuzzed: {dict(outcomes)}\n")


@pytest.mark.slow
def test_stored_replies_of_any_text_are_read_anew_and_written_out(tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    texts = st.text(max_size=60) | st.sampled_from([one for one in HOSTILE if type(one) is str])

    @settings(FUZZED, max_examples=max(EXAMPLES // 20, 3))
    @given(st.lists(texts.filter(_is_whole), min_size=len(SAMPLES), max_size=len(SAMPLES)))
    def fuzz(replies: list[str]) -> None:
        shutil.rmtree(tmp_path / "lake", ignore_errors=True)
        lake = answers_lake(tmp_path / "lake")
        rows = plain_rows(reply="It is benign.")
        import_answers(lake, lines(tmp_path / "a.jsonl", rows), MODEL, DATASET, TITLED)
        with connect(lake) as wh:
            stored = wh.sql("SELECT * EXCLUDE (run_id) FROM answer").pl().to_dicts()
        hostile = [
            {**row, "text": reply, "raw_text": reply}
            for row, reply in zip(stored, replies, strict=True)
        ]
        with RunWriter(lake, RunSpec("answers-reparse", MODEL, DATASET, {})) as writer:
            writer.commit({"answer": hostile}, {"replaces": ["answer"]}, finished=True)
        reparse(lake)
        with connect(lake) as wh:
            read = wh.sql("SELECT sample_id, raw_text, parsed FROM answer ORDER BY ALL").fetchall()
        assert sorted(text for _, text, _ in read) == sorted(replies)
        outcomes["names a class" if any(parsed for *_, parsed in read) else "names none"] += 1
        out = tmp_path / "out.jsonl"
        export_answers(lake, out, MODEL, DATASET)
        assert len(out.read_text().splitlines()) == len(SAMPLES)

    fuzz()
    sys.stdout.write(f"sets of stored replies fuzzed: {dict(outcomes)}\n")


def _is_whole(text: str) -> bool:
    """Half a character is in no Parquet file."""
    return text.isprintable() or all(not "\ud800" <= one <= "\udfff" for one in text)


@pytest.mark.slow
def test_whatever_lies_in_quarantine_nothing_that_counts_goes(tmp_path: Path) -> None:
    kept = small_lake(tmp_path / "kept")
    refresh(kept)
    right = rows_of(kept, "sample", "answer", "activation")
    shards = sorted(path.relative_to(kept.root) for path in kept.root.glob("a*/**/*.parquet"))
    records = sorted(path.relative_to(kept.root) for path in kept.commits_dir.glob("*.json"))
    outcomes: Counter[str] = Counter()
    names = st.sampled_from(
        ["why.txt", "commits/x-0.json", "run/part-.parquet", "answer/part-x--1.parquet", "a\nb"]
    ) | st.sampled_from([*map(str, shards), *map(str, records)])

    @settings(FUZZED, max_examples=max(EXAMPLES // 10, 6))
    @given(
        st.sampled_from(["20260101T000000000000", "x", ".", "\x1b[31m"]),
        st.lists(st.tuples(names, st.sampled_from(["own", "junk", "empty", "{}"])), max_size=4),
    )
    def fuzz(folder: str, files: list[tuple[str, str]]) -> None:
        lake = Lake.at(tmp_path / "lake")
        shutil.rmtree(lake.root, ignore_errors=True)
        shutil.copytree(kept.root, lake.root)
        for name, what in files:
            path = lake.root / "quarantine" / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            own = (kept.root / name).read_bytes() if (kept.root / name).is_file() else b"PAR1"
            path.write_bytes({"own": own, "junk": b"\0\xff" * 9, "empty": b"", "{}": b"{}"}[what])
        for act in (status, restore, repair, sweep, free, status):
            try:
                act(lake)
                outcomes["done"] += 1
            except LayerhouseError as error:
                outcomes["refused"] += 1
                _check_said(error)
        assert rows_of(lake, "sample", "answer", "activation") == right

    fuzz()
    sys.stdout.write(f"what was done to lakes with a fuzzed quarantine: {dict(outcomes)}\n")
