"""`layerhouse project` as people call it, and the function behind it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import layerhouse
from layerhouse.cli import main
from tests.conftest import Demo
from warehouse.catalogue import connect
from warehouse.errors import UsageError
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter

PLACE = ("--model", "tiny-digits", "--dataset", "digits", "--at", "llm.4/last")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["project", *words])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_it_writes_the_figure_and_says_what_it_is_worth(demo: Demo, tmp_path: Path, capsys):
    out = tmp_path / "new" / "plane.svg"
    place = ("--lake", str(demo.lake.root), *PLACE)
    code, said, _ = run(capsys, *place, "--colour", "answer", "--out", str(out))
    assert code == 0
    assert "first two principal components" in said
    assert "1,797 samples" in said
    assert said.endswith(f"Figure: {out}\n")
    assert "PCA of tiny-digits on digits at llm.4/last" in out.read_text(encoding="utf-8")


def test_letters_that_no_font_has_are_told_in_a_note(tmp_path, capsys, recwarn, demo):
    lake = Lake.at(Path(shutil.copytree(demo.lake.root, tmp_path / "lake")))
    with connect(lake) as wh:
        samples = wh.sql("SELECT sample_id FROM sample WHERE dataset_id = 'digits'").fetchall()
    value = {"dataset_id": "digits", "name": "site", "value": "\U000f0002"}
    with RunWriter(lake, RunSpec("datasets-add", None, "digits", {"n": 2})) as writer:
        writer.commit({"sample_attribute": [{**value, "sample_id": name} for (name,) in samples]})
        writer.finish()
    out = tmp_path / "plane.png"
    place = ("--lake", str(lake.root), *PLACE, "--colour", "site", "--out", str(out))
    code, said, told = run(capsys, *place)
    assert (code, told) == (0, "")
    assert "Note: no font of this machine has \U000f0002; boxes stand for them" in said
    assert not [w for w in recwarn.list if "missing from" in str(w.message)]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--at", "llm"), "a place is MODULE.LAYER/READOUT"),
        (("--at", "llm.4/lst"), "the lake holds no activations"),
        (("--model", "tiny-digit"), "did you mean tiny-digits"),
        (("--dataset", "digitz"), "did you mean digits"),
        (("--method", "umap"), "umap"),
        (("--colour", "age"), "there is no colour 'age'; known are answer, class"),
        (("--out", "plane.jpg"), "end its name in one of .pdf, .svg, .png"),
    ],
)
def test_a_wrong_word_is_told_in_a_sentence(
    demo: Demo, tmp_path: Path, capsys, monkeypatch, words, told
):
    monkeypatch.chdir(tmp_path)
    asked = dict(zip(PLACE[::2], PLACE[1::2], strict=True)) | {"--out": "plane.svg"} | dict([words])
    named = [word for option in asked.items() for word in option]
    code, _, said = run(capsys, "--lake", str(demo.lake.root), *named)
    assert code == 2
    assert told in said
    assert len(said.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_lake_s_own_files_are_not_written_over(demo: Demo):
    own = demo.lake.root / "activation" / "plane.svg"
    with pytest.raises(UsageError):
        layerhouse.project("tiny-digits", "digits", "llm.4/last", out=own, lake=demo.lake)


def test_the_function_gives_the_places(demo: Demo):
    shown = layerhouse.project("tiny-digits", "digits", "llm.4/last", lake=demo.lake)
    assert shown.frame.columns == ["sample_id", "label", "split", "x", "y", "class"]
    assert shown.frame.height == 1797
    assert 0 < sum(shown.layout.explained) < 1
