"""A second user without rights reads the newest catalogue, and is told in one sentence what he may
not do."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from ctypes import CDLL, c_uint32
from pathlib import Path

import pytest
from PIL import Image

from layerhouse.cli import main
from tests.analysis.activation_lake import (
    add_activations,
    dataset_lake,
    drawn,
    labels_and_splits,
)
from tests.lakes import Signals, synthetic_lake
from tests.warehouse.small_lakes import DATASET, MODEL, add_extraction, small_lake
from warehouse.catalogue.refreshing import connect, refresh
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake
from warehouse.lake.standing import list_commits

OWNER = 65534
"""Whose the lake is; the tests' own user is another."""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="only root can give a lake to another user"
)


@contextmanager
def _another_user() -> Iterator[None]:
    """Root without its right to write where another may: Linux's CAP_DAC_OVERRIDE."""
    head, held = (c_uint32 * 2)(0x20080522, 0), (c_uint32 * 6)()
    libc = CDLL(None)
    assert libc.capget(head, held) == 0
    less = (c_uint32 * 6)(*held)
    less[0] &= ~(1 << 1)
    assert libc.capset(head, less) == 0
    try:
        yield
    finally:
        assert libc.capset(head, held) == 0


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = small_lake(tmp_path_factory.mktemp("readers") / "lake")
    refresh(lake)
    return lake


def _theirs(lake: Lake, folder: Path) -> Lake:
    """A copy that belongs to another user."""
    shutil.copytree(lake.root, folder / "lake")
    for path in ((folder / "lake"), *(folder / "lake").rglob("*")):
        os.chown(path, OWNER, OWNER)
        path.chmod(0o755 if path.is_dir() else 0o644)
    return Lake.at(folder / "lake")


@pytest.fixture
def lake(kept: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv("LAYERHOUSE_CACHE", str(tmp_path / "cache"))
    return _theirs(kept, tmp_path)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _count(lake: Lake) -> int:
    with connect(lake) as wh:
        ((count,),) = wh.sql("SELECT count(*) FROM answer").fetchall()
        assert len(wh.vectors(MODEL, DATASET, "llm", 0, "mean")[0]) == 4
        assert wh.sql("SELECT count(vector) FROM activation").fetchall()[0][0] > 0
    return int(count)


def test_a_current_catalogue_is_read_where_it_lies(lake: Lake, tmp_path: Path) -> None:
    before = _files(lake.root)
    with _another_user():
        assert _count(lake) == 4
    assert _files(lake.root) == before
    assert list(tmp_path.glob("cache/lakes/*/catalog.duckdb")) == []


@pytest.mark.slow
def test_where_it_is_out_of_date_the_reader_has_one_of_his_own(lake: Lake, tmp_path: Path) -> None:
    add_extraction(lake, "another")
    before = _files(lake.root)
    with _another_user():
        assert _count(lake) == 8
    assert _files(lake.root) == before
    assert len(list(tmp_path.glob("cache/lakes/*/catalog.duckdb"))) == 1
    add_extraction(lake, "more")
    with _another_user():
        assert _count(lake) == 12


def test_without_a_place_for_one_the_way_out_is_named(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_extraction(lake, "another")
    monkeypatch.setenv("LAYERHOUSE_CACHE", str(lake.root / "cache"))
    with _another_user(), pytest.raises(LayerhouseError, match=r"cannot be rebuilt there: .*CACHE"):
        connect(lake)


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    models = {name: Signals() for name in ("alpha", "beta")}
    lake = synthetic_lake(tmp_path_factory.mktemp("readers") / "lake", models, n_samples=40)
    classes, splits = labels_and_splits(24, 2)
    dataset_lake(lake.root, classes, splits, dataset_id="vectors")
    vectors = {("llm", 0, "last"): drawn(classes, 4, 0)}
    add_activations(lake, vectors, model_id="tiny", dataset_id="vectors")
    refresh(lake)
    return lake


NAMES = ("--model", "alpha", "--dataset", "shapes")
WRITING = {
    "datasets add": ("datasets", "add", "more", "{folder}"),
    "datasets audit": ("datasets", "audit", "shapes"),
    "datasets remove": ("datasets", "remove", "shapes", "--with-dependents"),
    "models remove": ("models", "remove", "alpha", "--with-dependents"),
    "extract": ("extract", "--model", "tiny-digits", "--dataset", "digits"),
    "baseline": ("baseline", "--dataset", "digits", "--architecture", "texture-svm", "--seed", "7"),
    "diagnose": ("diagnose", *NAMES),
    "compare": ("compare", "--model", "alpha", "--base", "beta", "--dataset", "shapes"),
    "probe": ("probe", "--model", "tiny", "--dataset", "vectors", "--seeds", "1"),
    "runs remove": ("runs", "remove", "{run}", "--with-dependents"),
    "answers reparse": ("answers", "reparse"),
    "answers import": ("answers", "import", "{folder}/answers.csv", *NAMES),
    "status --repair": ("status", "--repair"),
    "status --free": ("status", "--free"),
    "compact": ("compact",),
    "demo": ("demo", "--out", "{folder}/report.html"),
    "diagnose --self-test": (
        *("diagnose", "--model", "tiny-digits", "--dataset", "digits"),
        *("--self-test", "--quick", "--device", "cpu"),
    ),
    "datasets remove --sample": (
        *("datasets", "remove", "shapes", "--sample", "image-00000", "--with-dependents"),
    ),
}


@pytest.mark.parametrize("command", WRITING)
def test_a_command_that_writes_says_so_in_one_sentence(
    analysed: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    lake = _theirs(analysed, tmp_path)
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "answers.csv").write_text("sample_id,reply\nimage-00000,a circle\n")
    for side in ("left", "right"):
        (folder / side).mkdir()
        for number in range(12):
            Image.new("RGB", (8, 8), (number, 9, 9)).save(folder / side / f"{number}.png")
    before = _files(lake.root)
    run = next(iter(list_commits(lake, command="extract"))).run_id
    arguments = [each.format(folder=folder, run=run) for each in WRITING[command]]
    with _another_user(), pytest.raises(SystemExit) as ended:
        main([*arguments, "--lake", str(lake.root)])
    said = capsys.readouterr()
    assert ended.value.code == 1, said
    assert "may only be read by you; give a copy of it" in said.err, said
    assert _files(lake.root) == before


READING = [
    ("sql", "SELECT * FROM mart_leaderboard"),
    ("datasets", "list"),
    ("datasets", "show", "shapes"),
    ("models", "show", "tiny-digits"),
    ("runs", "list"),
    ("publish", "--out", "{folder}/marts"),
    ("answers", "export", *NAMES, "--out", "{folder}/answers.jsonl"),
    pytest.param(
        ("report", "--images", "0", "--out", "{folder}/report.html"), marks=pytest.mark.slow
    ),
]


@pytest.mark.parametrize("command", READING, ids=lambda command: " ".join(command[:2]))
def test_a_command_that_only_reads_does_as_for_its_owner(
    analysed: Lake, tmp_path: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    lake = _theirs(analysed, tmp_path)
    before = _files(lake.root)
    said = []
    for who in ("owner", "another"):
        folder = tmp_path / who
        folder.mkdir()
        arguments = [each.format(folder=folder) for each in command]
        user = _another_user() if who == "another" else nullcontext()
        with user, pytest.raises(SystemExit) as ended:
            main([*arguments, "--lake", str(lake.root)])
        printed = capsys.readouterr()
        assert ended.value.code == 0, printed.err
        said.append((printed.out.replace(str(folder), ""), sorted(_files(folder))))
    assert said[0] == said[1]
    assert _files(lake.root) == before


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("status",), 0),
        (("sql", "FROM sample"), 0),
        pytest.param(("validate",), 1, marks=pytest.mark.slow),  # the lake is made up
    ],
)
def test_a_command_that_reads_answers(
    lake: Lake, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], code: int
) -> None:
    with _another_user(), pytest.raises(SystemExit) as ended:
        main([*command, "--lake", str(lake.root)])
    said = capsys.readouterr()
    assert "nexpected failure" not in said.err
    assert (ended.value.code or 0) == code, said
    assert said.out
