"""Commands that print tables print one JSON document for programs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import layerhouse
from layerhouse.cli import main
from layerhouse.printing import document
from tests.lakes import Signals, synthetic_lake
from warehouse.lake.lake import Lake


def told(capsys: pytest.CaptureFixture[str], lake: Lake, *words: str) -> Any:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--format", "json", "--lake", str(lake)])
    said = capsys.readouterr()
    assert (ended.value.code, said.err) == (0, "")
    return json.loads(said.out)


@pytest.mark.slow
def test_a_document_has_the_fields_of_what_python_returns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {"tiny": Signals.losing(connector=0.3), "other": Signals.losing(llm=0.1)}
    lake = synthetic_lake(tmp_path / "lake", models, n_samples=200)
    names = ("--model", "tiny", "--dataset", "shapes")
    options = {"resamples": 100, "lake": lake}
    diagnosed = told(capsys, lake, "diagnose", *names, "--resamples", "100")
    found = layerhouse.diagnose("tiny", "shapes", **options)
    assert diagnosed["added"] is True
    assert diagnosed | {"added": False} == json.loads(json.dumps(document(found)))
    assert diagnosed["rows"][1]["loss"] == found.rows[1].loss

    compared = told(capsys, lake, "compare", *names, "--base", "other", "--resamples", "100")
    done, _ = layerhouse.compare("tiny", "other", "shapes", **options)
    (comparison,) = compared["comparisons"]
    assert comparison["pair"]["base_model_id"] == "other"
    assert comparison["note"] == done[0].note
    assert [row["difference"] for row in comparison["rows"]] == [
        row.difference for row in done[0].rows
    ]
    assert compared["left_out"] == []

    state = told(capsys, lake, "status")
    assert state["lake"] == str(lake)
    verdicts = {pair["model_id"]: pair["verdict"] for pair in state["pairs"]}
    assert verdicts["tiny"] == found.verdict
    assert state["next_command"].startswith("layerhouse ")


def test_what_is_no_number_is_null_and_texts_give_no_orders() -> None:
    assert document({"a": [math.nan, math.inf, 0.5], "b": "x\x1b[2J"}) == {
        "a": [None, None, 0.5],
        "b": "x\\x1b[2J",
    }


@pytest.mark.parametrize("words", [("status", "--free"), ("diagnose", "--self-test")])
def test_what_prints_something_else_is_refused(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "commits").mkdir()
    named = ("--model", "m", "--dataset", "d") if words[0] == "diagnose" else ()
    with pytest.raises(SystemExit) as ended:
        main([*words, *named, "--format", "json", "--lake", str(tmp_path)])
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert "--format json" in said.err
