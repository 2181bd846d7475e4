"""Commands that print tables print one JSON document for programs."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

import layerhouse
from layerhouse.cli import main
from layerhouse.printing import document
from tests.lakes import Signals, synthetic_lake
from warehouse.lake.lake import Lake

DOCS = Path(__file__).parents[2] / "docs" / "json.md"


def told(capsys: pytest.CaptureFixture[str], lake: Lake, *words: str) -> Any:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--format", "json", "--lake", str(lake)])
    said = capsys.readouterr()
    assert (ended.value.code, said.err) == (0, "")
    return json.loads(said.out)


def documented() -> dict[str, set[str]]:
    """The fields of each command's document, as docs/json.md has them."""
    rows = [line.split("|") for line in DOCS.read_text("utf-8").splitlines() if line[:3] == "| `"]
    return {
        command: set(re.findall("`([^`]+)`", row[2]))
        for row in rows
        for command in re.findall("`([^`]+)`", row[1])
    }


def fields_told(capsys: pytest.CaptureFixture[str], command: str, *words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), *words, "--format", "json"])
    said = capsys.readouterr()
    found = json.loads(said.out, parse_constant=pytest.fail)
    assert ended.value.code == 0, said.err
    assert set(found) == documented()[command]
    assert " object at 0x" not in said.out


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    models = {"tiny": Signals.losing(connector=0.3), "other": Signals.losing(llm=0.1)}
    return synthetic_lake(tmp_path_factory.mktemp("documents") / "lake", models, n_samples=60)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("status", ()),
        ("models list", ("*7b*",)),
        ("models show", ("tiny-digits",)),
        ("datasets list", ()),
        ("datasets show", ("shapes",)),
        ("runs list", ()),
        ("models remove", ("tiny", "--dry-run")),
        ("datasets remove", ("shapes", "--dry-run")),
        ("power", ("--dataset", "shapes")),
        ("diagnose", ("--model", "tiny", "--dataset", "shapes", "--resamples", "100")),
        ("answers explain", ("--class", "a", "--class", "b", "--reply", "a")),
        ("baseline --list", ()),
    ],
)
def test_the_fields_of_a_document_are_those_that_docs_name(
    command: str, words: tuple[str, ...], lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--lake", str(lake.root)) if command.split()[0] not in ("answers", "baseline") else ()
    if command == "models list":
        place = ()
    fields_told(capsys, command, *words, *place)


@pytest.mark.slow
def test_those_of_what_runs_a_model_are_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = ("--model", "tiny-digits", "--dataset", "digits")
    with pytest.raises(SystemExit):
        main(["extract", *named, "--limit", "300"])
    capsys.readouterr()
    fields_told(capsys, "probe", *named, "--geometry")
    fields_told(capsys, "baseline", "--dataset", "digits", "--architecture", "pixels-logistic")
    fields_told(capsys, "patch", *named, "--limit", "8", "--module", "llm", "--layer", "-1")
    fields_told(capsys, "steer", *named, "--limit", "8", "--layer", "1", "--strength", "1")
    fields_told(capsys, "validate")
    fields_told(capsys, "datasets audit", "digits")
    fields_told(capsys, "models verify", "tiny-digits")
    study = '[[model]]\nmodel = "tiny-digits"\n[[dataset]]\ndataset = "digits"\n'
    (tmp_path / "study.toml").write_text(study)
    fields_told(capsys, "study status", "study.toml")
    fields_told(capsys, "mend", *named, "--stage", "answer", "--repair", "answer/prior")
    small = ("--limit", "200", "--quick", "--healthy", "1", "--severities", "0.8", "--seeds", "1")
    fields_told(capsys, "diagnose --self-test", *named, *small, "--resamples", "100")


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


@pytest.mark.parametrize("words", [("status", "--free"), ("status", "--repair")])
def test_what_prints_something_else_is_refused(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "commits").mkdir()
    with pytest.raises(SystemExit) as ended:
        main([*words, "--format", "json", "--lake", str(tmp_path)])
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert "--format json" in said.err
