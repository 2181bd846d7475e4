"""`layerhouse answers explain`: which class a reply names, and why."""

from __future__ import annotations

import json

import pytest

from layerhouse.cli import main


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
    assert "no evidence of" in told["why"] or "denied by 'no" in told["why"]
    code, out, _ = explained(capsys, *options, "--reply", "I cannot tell.")
    assert (code, json.loads(out)["class"]) == (0, None)


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
