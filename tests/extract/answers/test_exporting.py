"""Answers written out come back by an import as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from extract.answers import ImportOptions, export_answers, import_answers
from tests.extract.answers.lake import DATASET, MODEL, answers_lake, lines, plain_rows
from tests.tables import tables
from warehouse.errors import UsageError

COLUMNS = "sample_id, predicted_class_index, label_logprobs, text, finish_reason, n_tokens, options"


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv"])
def test_answers_written_out_come_back_as_they_were(suffix: str, tmp_path: Path) -> None:
    lake = answers_lake(tmp_path / "lake")
    rows = plain_rows(options=["malignant", "benign"], finish_reason="stop", n_tokens=5)
    rows[0]["reply"] = 'A, or\nso "they" say; 结节'
    rows[0]["scores"] = {"benign": 0.25, "malignant": 0.75}
    rows[1] |= {"reply": "Hard to say."}
    del rows[2]["reply"], rows[2]["options"]
    rows[2]["scores"] = {"benign": 1.0, "malignant": 0.0}
    path = lines(tmp_path / "in.jsonl", rows)
    import_answers(lake, path, MODEL, DATASET, ImportOptions("first", "GPT-X"))
    out = tmp_path / f"out{suffix}"
    assert export_answers(lake, out, MODEL, DATASET, "imported:first") == 6
    import_answers(lake, out, MODEL, DATASET, ImportOptions("second"))
    with tables(lake) as wh:
        first, second = (
            wh.sql(
                f"SELECT {COLUMNS} FROM answer WHERE method = $1 ORDER BY sample_id",
                [f"imported:{name}"],
            ).fetchall()
            for name in ("first", "second")
        )
    assert first == second
    assert {row[1] for row in first} == {0, 1, None}


def test_what_is_written_says_no_more_than_it_must(tmp_path: Path) -> None:
    lake = answers_lake(tmp_path / "lake")
    path = lines(tmp_path / "in.jsonl", plain_rows())
    import_answers(lake, path, MODEL, DATASET, ImportOptions("first", "GPT-X"))
    export_answers(lake, tmp_path / "out.jsonl", MODEL, DATASET)
    row = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert row == {
        "sample_id": "benign/img_a.png",
        "split": "train",
        "label": "benign",
        "method": "imported:first",
        "reply": "It is benign.",
        "predicted": "benign",
    }


@pytest.mark.parametrize(
    ("model", "dataset", "method", "out", "sentence"),
    [
        ("gpt-y", DATASET, None, "a.jsonl", "no answers of 'gpt-y' on breast; did you mean gpt-x"),
        (MODEL, "brest", None, "a.jsonl", "no dataset 'brest'; did you mean breast"),
        (MODEL, DATASET, "generate", "a.jsonl", "no answers 'generate'; known are imported:in"),
        (MODEL, DATASET, None, "a.xlsx", "names no format; end it in .jsonl or .csv or .tsv"),
    ],
)
def test_answers_that_there_are_none_of_are_named(
    model: str, dataset: str, method: str | None, out: str, sentence: str, tmp_path: Path
) -> None:
    lake = answers_lake(tmp_path / "lake")
    path = lines(tmp_path / "in.jsonl", plain_rows())
    import_answers(lake, path, MODEL, DATASET, ImportOptions(title="GPT-X"))
    with pytest.raises(UsageError, match=sentence):
        export_answers(lake, tmp_path / out, model, dataset, method)
    assert not (tmp_path / out).exists()
