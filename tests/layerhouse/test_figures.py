"""`layerhouse figures` as people call it."""

from __future__ import annotations

from pathlib import Path

import pytest

import layerhouse
from layerhouse.cli import main
from tests.lakes import Signals, synthetic_lake
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake

HUB = "org/model_1.5%"
ONE = ("--only", "overview", "--format", "svg")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two models that nobody diagnosed, one by a hub's name, on two datasets."""
    place = tmp_path_factory.mktemp("lake") / "lakehouse"
    models = {HUB: Signals.losing(connector=0.1), "mute": Signals(methods=())}
    for dataset_id in ("shapes", "more"):
        found = synthetic_lake(place, models, dataset_id=dataset_id, n_samples=80)
    return found


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["figures", *words])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out + said.err


def at(lake: Lake, out: Path) -> tuple[str, ...]:
    return ("--lake", str(lake.root), "--out", str(out))


def test_a_model_that_was_not_diagnosed_has_figures_without_intervals(lake, tmp_path, capsys):
    code, said = run(
        capsys,
        *at(lake, tmp_path / "new" / "out"),
        "--format",
        "SVG",
        "--table",
        "LaTeX",
        "--only",
        "losses",
        "--only",
        "signal-curves",
    )
    assert code == 0
    written = {path.name for path in (tmp_path / "new" / "out").iterdir()}
    assert {
        "shapes--org-model_1-5--losses.svg",
        "signal-curves.svg",
        "more--signal-curves.svg",
        "more--table-losses.tex",
        "figures.json",
    } <= written
    assert f"{len(written) - 1} files in" in said
    table = (tmp_path / "new" / "out" / "more--table-losses.tex").read_text("utf-8")
    assert r"org/model\_1.5\%" in table
    assert "[" not in table.partition(r"\midrule")[2]


def test_files_of_ours_are_replaced_and_no_others_touched(lake, tmp_path, capsys):
    mine = tmp_path / "notes.txt"
    mine.write_text("mine")
    assert run(capsys, *at(lake, tmp_path), *ONE)[0] == 0
    ours = tmp_path / "shapes--overview.svg"
    drawn = ours.read_bytes()
    ours.write_text("half")
    assert run(capsys, *at(lake, tmp_path), *ONE, "--dataset", "shapes")[0] == 0
    assert ours.read_bytes() == drawn
    assert "more--overview.svg" in (tmp_path / "figures.json").read_text()
    assert mine.read_text() == "mine"


def test_a_file_in_the_way_is_told_before_anything_is_written(lake, tmp_path, capsys):
    mine = tmp_path / "shapes--overview.svg"
    mine.write_text("mine")
    code, said = run(capsys, *at(lake, tmp_path), *ONE)
    assert code == 2
    assert "shapes--overview.svg is there and was not written by" in said
    assert [path.name for path in tmp_path.iterdir()] == [mine.name]
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("content", ["", "{}", '{"files": {"../x": {}}}', "[" * 100_000])
def test_a_list_of_somebody_else_is_left_alone(lake, tmp_path, capsys, content):
    (tmp_path / "figures.json").write_text(content)
    code, said = run(capsys, *at(lake, tmp_path), *ONE)
    assert code == 2
    assert "is not the list of figures that Layerhouse writes" in said
    assert (tmp_path / "figures.json").read_text() == content


def test_folders_that_cannot_be_written_to_are_told_in_a_sentence(lake, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(capsys, *at(lake, tmp_path / "file"), *ONE) == (
        2,
        f"Error: {tmp_path / 'file'} is a file; name a folder\n",
    )
    code, said = run(capsys, *at(lake, Path("/proc/figures")), *ONE)
    assert (code, said.count("\n")) == (1, 1)
    assert "cannot write /proc/figures/figures.json" in said
    code, said = run(capsys, *at(lake, lake.root / "commits"), *ONE)
    assert code == 2
    assert "the lake's own files" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--format", "pdg"), "unknown format 'pdg'; did you mean"),
        (("--table", "tex"), "unknown table 'tex'"),
        (("--only", "signal_curve"), "unknown figure 'signal_curve'; did you mean signal-curve"),
        (("--only", "leaderboard"), "leaderboard is a table; add --table"),
        (("--model", "mutt"), "did you mean mute"),
        (("--width", "triple"), "unknown width 'triple'"),
    ],
)
def test_unknown_words_are_answered_with_the_nearest(lake, tmp_path, capsys, words, said):
    code, told = run(capsys, *at(lake, tmp_path / "out"), *words)
    assert code == 2
    assert said in told
    assert not (tmp_path / "out").exists()


def test_what_is_no_lake_is_named(tmp_path):
    with pytest.raises(LayerhouseError, match="there is no lake at"):
        layerhouse.figures(tmp_path / "out", lake=tmp_path / "none")
    published = tmp_path / "marts.duckdb"
    published.write_bytes(b"x")
    with pytest.raises(
        LayerhouseError, match=r"no lake at .*marts\.duckdb, which is a file; what was published"
    ):
        layerhouse.figures(tmp_path / "out", lake=published)
    with pytest.raises(UsageError, match="unknown format"):
        layerhouse.figures(tmp_path / "out", lake=tmp_path / "none", format="jpeg")
