"""`layerhouse mend` and what a verdict says with it, on the shipped model, by the command line."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import layerhouse
from tests.layerhouse.test_cli import run
from tests.warehouse.small_lakes import small_lake

NAMED = ("--model", "tiny-digits", "--dataset", "digits")
DAMAGED = ("--fault", "damage@answer:0.6")
STRUCK = ("--model", "tiny-digits+fault:damage@answer:0.6", "--dataset", "digits")
UNMEANT = {
    "--stage is given 2 times: give one of them, or --repair for each": ("--stage", "llm"),
    "the budget is told twice in images": ("--budget", "3", "--budget", "4"),
    "connector/finetune is no repair of answer; give its own --stage": (
        *("--repair", "answer/prior", "--repair", "connector/finetune"),
    ),
}
COMMAND = re.compile(r"is not measured(?: with [\w ]+)?: run `layerhouse ([^`]+)`")


@pytest.mark.parametrize(("told", "more"), UNMEANT.items())
def test_what_would_be_left_out_without_a_word_is_refused(
    told: str, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("mend", *NAMED, "--stage", "answer", *more) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variant", "told"),
    {
        "adapter:mine": "has one; merge it into the weights of tiny-digits",
        "mend:answer/prior+fault:damage@answer:1": "a repair is an adapter of its own",
        "quantization:4bit": "are packed; mend tiny-digits as it is",
    }.items(),
)
def test_a_variant_that_no_repair_can_be_trained_on_is_told_as_such(
    variant: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_lake(tmp_path)
    asked = ("--model", f"tiny-digits+{variant}", "--dataset", "digits", "--lake", str(tmp_path))
    assert run("mend", *asked) == 2
    assert told in capsys.readouterr().err


@pytest.mark.slow
def test_a_damaged_head_is_confirmed_and_mended_by_the_commands_that_the_verdict_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAYERHOUSE_LAKE", "lake")
    assert run("mend", *NAMED, *DAMAGED, "--stage", "answer") == 2
    assert "there is no lake" in capsys.readouterr().err
    assert run("extract", *NAMED, *DAMAGED) == 0
    assert run("mend", *NAMED, "--stage", "answer") == 1
    assert "has no answers on digits" in capsys.readouterr().err
    assert run("mend", *NAMED, *DAMAGED) == 1
    assert "diagnose it, or name what to mend with --stage" in capsys.readouterr().err
    assert run("mend", *NAMED, *DAMAGED, "--stage", "answer", "--budget", "some") == 2
    for rate in ("nan", "inf"):
        asked = ("--stage", "answer", "--learning-rate", rate)
        assert run("mend", *NAMED, *DAMAGED, *asked) == 2
        assert "must be finite" in capsys.readouterr().err

    assert run("probe", *STRUCK, "--seeds", "1") == 0
    capsys.readouterr()
    assert run("diagnose", *STRUCK) == 0
    said = capsys.readouterr().out
    assert "are readable but not said at the last token." in said
    patching, mending = map(shlex.split, COMMAND.findall(said))
    assert patching == ["patch", *NAMED[:2], *DAMAGED, *NAMED[2:], "--from", "tiny-digits"]
    assert mending == ["mend", *NAMED[:2], *DAMAGED, *NAMED[2:], "--stage", "answer"]
    assert run(*mending, "--dry-run") == 0
    planned = capsys.readouterr().out
    assert "Would mend tiny-digits+fault:damage@answer:0.6 on digits on " in planned
    assert re.search(r"answer/label-rows +640 +– +– +\d+ ", planned)
    assert not Path("mended").exists()
    assert (run(*patching), run(*mending)) == (0, 0)
    first = capsys.readouterr().out
    assert "patched: with the states of tiny-digits" in first
    first = first[first.index("answer/prior: ") :]
    assert "Advice: answer/label-rows (640 trained parameters, " in first
    assert "Note: " not in first  # all are held against answers of their own method
    assert run(*mending) == 0
    again = capsys.readouterr().out
    assert again.count("(trained before)") == 3
    assert run(*mending, "--dry-run") == 0
    assert capsys.readouterr().out.startswith("answer/prior is there already: mended/")
    assert again.splitlines()[3:] == first.splitlines()[3:]

    assert run("diagnose", *STRUCK) == 0
    said = capsys.readouterr().out
    assert "is not measured" not in said
    assert "are caused in the output head and mended by answer/label-rows" in said
    assert "Patching confirms that it is the output head: of what tiny-digits answers" in said
    assert re.search(
        r"Advice: answer/label-rows \(640 trained parameters, \d+ s\), the cheapest repair that "
        r"suffices: it brings back \d+% \(95% interval \d+ to \d+\) of the loss\.",
        said,
    )
    assert run("report", *STRUCK, "--images", "0", "--out", "report.html") == 0
    text = re.sub(r"<[^>]+>", "", Path("report.html").read_text("utf-8"))
    told = [
        *("From where to why, and to the cure", "are readable but not said at the last token."),
        *("Patching confirms that it is the output head", "answer/label-rows brings back"),
        *("answer/label-rows (640 trained parameters", "caused in and mended by answer/label-rows"),
        "advised",
    ]
    places = [text.index(each, text.index(told[0])) for each in told]
    assert places == sorted(places)
    assert run("validate") == 0

    gone = "tiny-digits+mend:answer/prior+fault:damage@answer:0.6"
    assert run("models", "remove", gone, "--with-dependents") == 0
    assert run(*mending, "--seed", "1", "--out", "new") == 1  # for the second of three repairs
    assert "was trained otherwise (seed: 0 → 1)" in capsys.readouterr().err
    assert not Path("new").exists()  # none is trained before


@pytest.mark.slow
def test_a_dataset_by_folds_is_mended_fold_by_fold_and_judged_on_all_that_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAYERHOUSE_LAKE", "lake")
    model, named = STRUCK[1], (*NAMED[:2], *DAMAGED, "--dataset", "folded")
    assert run("extract", *NAMED, "--answers-only", "--limit", "1") == 0
    assert run("datasets", "fold", "digits", "--folds", "3", "--into", "folded") == 0
    narrow = ("--module", "llm", "--readout", "last")
    assert run("extract", *named, *narrow) == 0
    assert run("probe", "--model", model, "--dataset", "folded", "--seeds", "1") == 0
    mending = ("mend", *named, "--stage", "answer", "--repair", "answer/probe")
    mending = (*mending, "--repair", "answer/label-rows")
    assert run(*mending, "--dry-run") == 0
    assert "each repair is 3 trainings, one for each fold" in capsys.readouterr().out
    assert run(*mending) == 0
    told = capsys.readouterr().out
    assert told.count("→ 0.9") == 2
    wh = layerhouse.connect("lake")
    rows = wh.sql(
        "SELECT repair, method_after, gain, gain_lower, gain_upper, auroc_lower "
        "FROM recovered_share"
    ).fetchall()
    assert {name: method for name, method, *_ in rows} == {
        "probe": "likelihood",
        "label-rows": "generate",
    }
    for _, _, gain, lower, upper, ranked in rows:
        assert 0.4 < lower < gain < upper
        assert ranked > 0.1
    mended = model.replace("+", "+mend:answer/probe+")
    capsys.readouterr()
    assert run("probe", "--model", mended, "--dataset", "folded") == 1
    assert "is one model for each fold of folded" in capsys.readouterr().err
    assert run("validate") == 0
