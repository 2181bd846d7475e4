"""Stored replies read anew: what reads otherwise takes the place of the old reading, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from extract.answers import ImportOptions, import_answers, reparse
from tests.extract.answers.lake import DATASET, MODEL, SAMPLES, answered, answers_lake, lines
from tests.tables import tables
from warehouse.errors import UsageError
from warehouse.lake import Lake, RunSpec, RunWriter, remove

NAMES = list(SAMPLES)


def generated(sample: str, raw: str, predicted: int | None) -> dict[str, Any]:
    return {
        "model_id": MODEL,
        "dataset_id": DATASET,
        "sample_id": sample,
        "method": "generate",
        "predicted_class_index": predicted,
        "label_logprobs": None,
        "text": raw,
        "parsed": predicted is not None,
        "finish_reason": "stop",
        "n_tokens": 3,
        "raw_text": raw,
        "options": None,
        **dict.fromkeys(("label_logprobs_per_token", "label_pmi", "end_token")),
    }


def extracted(lake: Lake, answers: list[dict[str, Any]], question: str, prompt: str) -> str:
    """A run of ours that asked this; its id."""
    identity = {"question": question, "prompt": {"text": prompt}}
    spec = RunSpec("extract", MODEL, DATASET, {"identity": identity})
    with RunWriter(lake, spec) as writer:
        writer.commit({"answer": answers}, finished=True)
    return spec.run_id


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return answers_lake(tmp_path / "lake")


def test_what_reads_otherwise_is_stored_once(lake: Lake) -> None:
    extracted(
        lake,
        [
            generated(NAMES[0], "Benign.", 1),  # an older parser took it for malignant
            generated(NAMES[1], "I cannot say.", 0),
            generated(NAMES[2], "It is malignant.", None),
            generated(NAMES[3], "Malignant.", 1),
        ],
        "Which?",
        "Which?",
    )
    (planned,) = reparse(lake, dry_run=True)
    assert planned.run_id is None
    assert answered(lake)[NAMES[0]] == "malignant"
    (read,) = reparse(lake, MODEL, DATASET)
    assert read.changes == planned.changes
    assert read.n == 4
    assert [(c.sample_id, c.before, c.after) for c in read.changes] == [
        (NAMES[0], "malignant", "benign"),
        (NAMES[1], "benign", None),
        (NAMES[2], None, "malignant"),
    ]
    assert list(answered(lake).values()) == ["benign", None, "malignant", "malignant"]
    with tables(lake) as wh:
        rows = wh.sql("SELECT raw_text, parsed, run_id FROM answer ORDER BY sample_id").fetchall()
    assert [row[:2] for row in rows] == [
        ("Benign.", True),
        ("I cannot say.", False),
        ("It is malignant.", True),
        ("Malignant.", True),
    ]
    assert [row[2] == read.run_id for row in rows] == [True, True, True, False]
    commits = lake.store.commit_names()
    (again,) = reparse(lake)
    assert (again.changes, again.run_id) == ((), None)
    assert lake.store.commit_names() == commits


def test_replies_go_on_from_their_prompt_and_letters_mean_what_it_listed(lake: Lake) -> None:
    answers = [
        generated(NAMES[0], "malignant? No.</think>B", None),
        generated(NAMES[1], "It is benign but", 0),  # cut inside the reasoning the prompt opened
    ]
    extracted(lake, answers, "Which? A. benign B. malignant", "<|user|>Which?<|assistant|><think>")
    (read,) = reparse(lake)
    assert [(c.before, c.after) for c in read.changes] == [(None, "malignant"), ("benign", None)]


def test_a_cut_reply_names_a_class_only_where_it_had_decided(lake: Lake) -> None:
    said = [
        "It is malignant and",
        "Malignant.\n\nThe lesion has",
        "It may be benign. The",
        "Benign.",
    ]
    answers = [
        generated(name, raw, 0) | {"finish_reason": "length"}
        for name, raw in zip(NAMES, said, strict=False)
    ]
    extracted(lake, answers, "Which?", "Which?")
    (read,) = reparse(lake)
    assert [(c.reply, c.after) for c in read.changes] == [
        (said[0], None),
        (said[1], "malignant"),
        (said[2], None),
    ]


def test_replies_from_before_raw_text_was_kept_are_read_as_text(lake: Lake) -> None:
    row = generated(NAMES[0], "Benign.", 1) | {"raw_text": None, "finish_reason": None}
    extracted(lake, [row | {"n_tokens": None}], "Which?", "<think>")
    (read,) = reparse(lake)
    assert [(c.before, c.after) for c in read.changes] == [("malignant", "benign")]


def test_imported_replies_keep_the_options_of_their_own_question(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"sample_id": NAMES[0], "reply": "A", "options": ["malignant", "benign"]}]
    path = lines(tmp_path / "r.jsonl", rows)
    with monkeypatch.context() as patch:
        patch.setattr("extract.answers.reading.named_class", lambda *_: None)
        import_answers(lake, path, MODEL, DATASET, ImportOptions(title="GPT-X"))
    assert answered(lake) == {NAMES[0]: None}
    (read,) = reparse(lake)
    assert [(c.method, c.after) for c in read.changes] == [("imported:r", "malignant")]


@pytest.mark.slow
def test_readings_that_went_back_and_forth_are_runs_of_their_own(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracted(lake, [generated(NAMES[0], "Benign.", 0)], "Which?", "Which?")
    seen = []
    for index in (1, 0, 1):
        monkeypatch.setattr("extract.answers.stored.StoredReplies.named", lambda *_, i=index: i)
        (read,) = reparse(lake)
        seen.append(read.run_id)
        assert answered(lake) == {NAMES[0]: ["benign", "malignant"][index]}
    assert len(set(seen)) == 3
    remove(lake, "run", str(seen[-1]))
    assert answered(lake) == {NAMES[0]: "benign"}


def test_replies_that_there_are_none_of_are_named(lake: Lake) -> None:
    assert reparse(lake) == []
    extracted(lake, [generated(NAMES[0], "Benign.", 0)], "Which?", "Which?")
    with pytest.raises(UsageError, match="no replies of the model 'gpt-y'; did you mean gpt-x"):
        reparse(lake, "gpt-y")
    with pytest.raises(UsageError, match="no replies of the dataset 'brest'"):
        reparse(lake, MODEL, "brest")
