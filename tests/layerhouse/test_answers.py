"""`layerhouse answers explain`: which class a reply names, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.diagnosis import diagnose
from layerhouse.cli import main
from tests.extract.answers.lake import DATASET, MODEL, answers_lake, lines, plain_rows
from warehouse.status import status


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["answers", "explain", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code, *capsys.readouterr()


def test_a_reply_is_explained_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--class", "NORMAL", "--class", "PNEUMONIA", "--format", "json")
    code, out, _ = explained(capsys, *options, "--reply", "There is no evidence of pneumonia.")
    assert code == 0
    told = json.loads(out)
    assert set(told) == {"class", "why"}
    assert told["class"] == "NORMAL"
    assert told["why"] == "'pneumonia' is denied by 'no', which leaves the other of two classes"
    code, out, _ = explained(capsys, *options, "--reply", "I cannot tell.")
    assert (code, json.loads(out)["class"]) == (0, None)


def test_a_cut_reply_is_explained_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    classes = ("--class", "normal", "--class", "pneumonia")
    reply = ("--reply", "The differential includes pneumonia and")
    _, out, _ = explained(capsys, *classes, *reply)
    assert out.startswith("pneumonia: ")
    _, out, _ = explained(capsys, *classes, *reply, "--finish", "length")
    assert out == "no answer: cut before it had answered\n"


def test_a_phrase_is_a_name_too_and_a_label_may_hold_an_equals_sign(
    capsys: pytest.CaptureFixture[str],
) -> None:
    classes = ("--class", "<=5 mm", "--class", ">5 mm", "--phrase", "<=5 mm=small polyp")
    for reply in ("a small polyp", "<= 5mm", "A"):
        code, out, _ = explained(capsys, *classes, "--reply", reply)
        assert code == 0
        assert out.startswith("<=5 mm: ")
    _, out, _ = explained(capsys, *classes, "--no-letters", "--reply", "A")
    assert out.startswith("no answer: ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--class", "a", "--class", "a", "--reply", "a"), "named twice"),
        (("--class", "benign", "--phrase", "bening=x", "--reply", "a"), "names no --class"),
        (("--reply", "benign"), "--class"),
        (("--class", "benign"), "--reply"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = explained(capsys, *arguments)
    assert code == 2
    assert sentence in err


def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["answers", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code, *capsys.readouterr()


def test_answers_are_imported_exported_and_read_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = str(answers_lake(tmp_path / "lake"))
    rows = [row | {"said": row.pop("reply"), "label": "benign"} for row in plain_rows()]
    file = str(lines(tmp_path / "gpt.jsonl", rows))
    about = ("--model", MODEL, "--dataset", DATASET, "--lake", lake)
    given = (file, *about, "--title", "GPT-X", "--column", "reply=said")
    code, _, err = ran(capsys, "import", *given)
    assert (code, "contradict those of breast for 3 of 6 samples" in err) == (1, True)
    code, out, _ = ran(capsys, "import", *given, "--column", "label=none")
    assert code == 0
    assert "Imported imported:gpt of gpt-x on breast: 6 answers, 6 of which name a class" in out
    code, out, _ = ran(capsys, "import", *given, "--column", "label=none")
    assert (code, "Nothing to do" in out) == (0, True)
    code, out, _ = ran(capsys, "export", *about, "--out", str(tmp_path / "out.csv"))
    assert (code, "Wrote 6 answers" in out) == (0, True)
    code, out, _ = ran(capsys, "reparse", *about)
    assert (code, out) == (0, "0 of 6 replies read otherwise\n")
    code, _, err = ran(capsys, "import", *given, "--column", "reply")
    assert (code, "names no column" in err) == (2, True)


def test_a_diagnosis_of_answers_from_elsewhere_is_not_older_than_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without layers there is no loss whose interval could be missing."""
    lake = answers_lake(tmp_path / "lake")
    about = ("--model", MODEL, "--dataset", DATASET, "--lake", str(lake))
    file = str(lines(tmp_path / "gpt.jsonl", plain_rows()))
    ran(capsys, "import", file, *about, "--title", "GPT-X")
    diagnose(lake, MODEL, DATASET, n_resamples=100)
    assert [pair.diagnosis for pair in status(lake).pairs] == ["fresh"]


def test_readings_that_change_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = str(answers_lake(tmp_path / "lake"))
    file = str(lines(tmp_path / "gpt.jsonl", plain_rows()))
    about = ("--model", MODEL, "--dataset", DATASET, "--lake", lake)
    assert ran(capsys, "import", file, *about, "--title", "GPT-X")[0] == 0
    monkeypatch.setattr("extract.answers.stored.StoredReplies.named", lambda *_: None)
    _, out, _ = ran(capsys, "reparse", "--lake", lake, "--dry-run")
    assert out.splitlines()[:4] == [
        "gpt-x on breast: 6 of 6",
        "  3 × benign → no answer",
        "  3 × malignant → no answer",
        "  benign/img_a.png, imported:gpt: benign → no answer: 'It is benign.'",
    ]
    assert out.splitlines()[-1] == "6 of 6 replies would read otherwise"
