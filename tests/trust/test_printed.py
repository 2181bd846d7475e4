"""What somebody wrote into a lake gives no orders to a terminal, a spreadsheet or the lake."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pytest

from layerhouse.cli import main
from layerhouse.printing import print_table
from layerhouse.printing.terminal import guarded, plain
from tests.lakes import Signals, synthetic_lake
from tests.warehouse.small_lakes import answer_row, small_lake
from warehouse.catalogue.refreshing import connect, refresh
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.publishing.publishing import publish
from warehouse.schema import tables

ORDERS = [
    "\x1b[2J", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "\x9b31m", "\x07",
    "\x08\x08", "\x00", "\x7f", "a\rb", "\u202egpj.exe", "\u2066x\u2069", "\x1b[201~rm -rf /\n",
    "\x1bP$q\x1b\\", "[red]markup[/red]", "[link=http://x]x[/link]",
]  # fmt: skip
BAD = {"\x1b", "\x9b", "\x07", "\x08", "\x00", "\x7f", "\r", "\u202e", "\u2066"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Not by a fixture: pytest changes the streams between setup and call."""
    screen = Terminal()
    monkeypatch.setenv("TERM", "dumb")  # so that tables are drawn without colours
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Replies, a model's name and a title that hold orders."""
    lake = small_lake(tmp_path_factory.mktemp("printed") / "lake")
    name = "m\x1b[2J\x9b31m\x07\r\u202e[red]x[/red]"
    with RunWriter(lake, RunSpec("extract", name, "digits", {})) as writer:
        rows = [
            answer_row(f"s{i}", model_id=name) | {"text": order, "raw_text": order}
            for i, order in enumerate(ORDERS)
        ]
        writer.commit({"answer": rows})
        writer.finish()
    refresh(lake)
    return lake


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_is_written_out(order: str) -> None:
    assert BAD.isdisjoint(plain(order))
    assert plain("ä 漢 ✓\tx\n") == "ä 漢 ✓\tx\n"


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("sql", "SELECT text, model_id FROM answer"),
        ("sql", "SELECT text, model_id FROM answer", "--format", "csv"),
        ("sql", "SELECT text, model_id FROM answer", "--format", "markdown"),
        ("sql", "SELECT text, model_id FROM answer", "--format", "json"),
        ("sql", "SELECT 1 AS \"\x1b[31m\""),
        ("sql", "SELECT \x1b[31m"),
        ("runs", "list"),
        ("models", "show", "\x1b[2J"),
        ("diagnose", "--model", "\x1b[2J", "--dataset", "digits"),
        ("\x1b[2J",),
    ],
)  # fmt: skip
def test_no_command_sends_one_to_a_terminal(
    hostile: Lake, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = _terminal(monkeypatch)
    monkeypatch.setenv("LAYERHOUSE_LAKE", str(hostile.root))
    with pytest.raises(SystemExit):
        main(list(command))
    said = terminal.getvalue()
    assert said
    assert BAD.isdisjoint(said), [part for part in BAD if part in said]


def test_markup_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)
    with guarded():
        print_table(["[bold]a[/bold]"], [["[red]b[/red]"]])
    assert "[bold]a[/bold]" in terminal.getvalue()
    assert "[red]b[/red]" in terminal.getvalue()


def test_a_pipe_gets_every_byte(hostile: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT text FROM answer WHERE text LIKE '%[2J%'"
    with pytest.raises(SystemExit):
        main(["sql", query, "--lake", str(hostile.root)])
    assert "\x1b[2J" in capsys.readouterr().out


# Spreadsheets.


@pytest.mark.slow
def test_published_csv_holds_no_formulas(tmp_path: Path) -> None:
    names = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "plain", "a=b"]
    lake = synthetic_lake(
        tmp_path / "lake", {name: Signals() for name in names}, n_samples=40, baseline=None
    )
    publish(lake, tmp_path / "out")
    found = set()
    for path in (tmp_path / "out").glob("*.csv"):
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
        texts = _texts(lake, path.stem)
        for row in rows[1:]:
            cells = [cell for name, cell in zip(rows[0], row, strict=True) if name in texts]
            assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r")]
            found |= {cell for cell in cells if cell.removeprefix("'") in names}
    assert found >= {"'=cmd|' /C calc'!A0", "'@SUM(A1)", "plain", "a=b"}
    with connect(lake) as wh:
        held = {name for (name,) in wh.sql("SELECT model_id FROM mart_leaderboard").fetchall()}
    assert held >= {"=cmd|' /C calc'!A0"}, "the lake keeps what it was given"


def _texts(lake: Lake, mart: str) -> set[str]:
    with connect(lake) as wh:
        kinds = wh.sql(f"DESCRIBE {mart}").fetchall()
    return {name for name, kind, *_ in kinds if kind == "VARCHAR"}


# The lake's own files.


OWN = ("catalog.duckdb", "catalog.check", "commits/x.json", "quarantine/x", "verified.json", "")
PLACES = [("sql", name) for name in (*OWN, *(f"{table}/x.parquet" for table in tables()))]
PLACES += [
    (command, "sample/x") for command in ("publish", "report", "validate", "answers", "show", "add")
]


@pytest.mark.parametrize(("command", "name"), PLACES)
def test_no_result_is_written_over_the_lakes_own_files(
    hostile: Lake, capsys: pytest.CaptureFixture[str], command: str, name: str
) -> None:
    out = str(hostile.root / name)
    given = {
        "sql": ["sql", "FROM sample", "--format", "csv", "--out", out],
        "publish": ["publish", "--out", out],
        "report": ["report", "--out", out],
        "validate": ["validate", "--data-docs", out],
        "show": ["datasets", "show", "digits", "--preview", out],
        "add": ["datasets", "add", "more", "digits", "--preview", out],
        "answers": ["answers", "export", "--model", "m", "--dataset", "digits", "--out", out],
    }[command]
    before = {path: path.stat().st_mtime_ns for path in hostile.root.rglob("*")}
    with pytest.raises(SystemExit) as ended:
        main([*given, "--lake", str(hostile.root)])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "one of the lake's own files" in said or "is a directory" in said
    assert {path: path.stat().st_mtime_ns for path in hostile.root.rglob("*")} == before


def test_a_result_may_lie_beside_them(hostile: Lake, tmp_path: Path) -> None:
    for out in (hostile.root / "report.html", hostile.root / "out" / "x", tmp_path / "commits"):
        hostile.refuse_own(out)
    (tmp_path / "link").symlink_to(hostile.root / "commits")
    with pytest.raises(LayerhouseError):
        hostile.refuse_own(tmp_path / "link" / "x.json")
