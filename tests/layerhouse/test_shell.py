"""`layerhouse sql` and `layerhouse shell` as a person at a terminal meets them."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from layerhouse.cli import main
from layerhouse.printing import tables as printing
from tests.warehouse.small_lakes import files, small_lake
from warehouse.catalogue.reading import Warehouse
from warehouse.catalogue.refreshing import connect
from warehouse.lake.lake import Lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = small_lake(tmp_path_factory.mktemp("shell") / "lake")
    with connect(lake):
        return lake


@pytest.fixture(scope="module")
def wh(lake: Lake) -> Iterator[Warehouse]:
    with connect(lake) as wh:
        yield wh


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(wh: Warehouse, query: str, monkeypatch: pytest.MonkeyPatch, width: int = 80) -> str:
    """The query's result on a terminal of that width."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    screen = Terminal()
    printing.write_relation(wh.sql(query), "table", screen, None)
    return re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())


def test_rows_that_do_not_fit_a_terminal_stand_on_lines_of_their_own(
    wh: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = f"SELECT {', '.join(f'{i} AS column_{i}' for i in range(30))}"
    text = shown(wh, query, monkeypatch)
    assert [line.split() for line in text.splitlines()[1:]] == [
        [f"column_{i}", str(i)] for i in range(30)
    ]
    assert "column_29" in shown(wh, query, monkeypatch, width=1000).splitlines()[0]


def test_long_texts_are_shown_whole_and_of_vectors_their_beginning(
    wh: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(wh, "SELECT repeat('x', 500) AS long, range(4096) AS vector", monkeypatch, 100)
    assert text.count("x") == 500
    assert max(map(len, text.splitlines())) <= 100
    assert "[0, 1, 2, 3, …] (4096)" in text


def test_a_result_too_large_for_a_terminal_says_how_to_get_it_whole(
    wh: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(wh, "FROM range(1_000_000_000) AS r (i)", monkeypatch)
    assert len(text.splitlines()) < printing.TABLE_ROWS + 10
    assert f"the first {printing.TABLE_ROWS} rows; --format csv" in " ".join(text.split())


def test_an_empty_result_says_so(wh: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(wh, "SELECT 1 AS one WHERE FALSE", monkeypatch)
    assert "one" in text
    assert "no rows" in text


def run(lake: Lake, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--lake", str(lake.root)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_timing_goes_to_stderr(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lake, "sql", "SELECT 1 AS one", "--timing") == 0
    said = capsys.readouterr()
    assert said.out == "one\n1\n"
    assert said.err.endswith(" s\n")


def test_explain_shows_the_plan_and_with_timing_what_ran(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    query = "SELECT split FROM sample"
    assert run(lake, "sql", query, "--explain") == 0
    plan = capsys.readouterr().out
    assert "Seq Scan" in plan
    assert run(lake, "sql", query, "--explain", "--timing") == 0
    assert "Total Time" in capsys.readouterr().out
    assert run(lake, "sql", "DROP TABLE sample", "--explain") == 1
    assert "EXPLAIN is answered for SELECT only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("query", "wrong"), [("SELECT 1 FORM sample", "sample"), ("SELECT nonsens FROM sample", "non")]
)
def test_a_caret_stands_under_the_fault(
    lake: Lake, capsys: pytest.CaptureFixture[str], query: str, wrong: str
) -> None:
    assert run(lake, "sql", query) == 1
    lines = capsys.readouterr().err.splitlines()
    (caret,) = [number for number, line in enumerate(lines) if set(line.strip()) == {"^"}]
    assert lines[caret - 1][lines[caret].index("^") :].startswith(wrong)


def test_a_query_can_come_from_standard_input(
    lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT count(*) AS n\nFROM sample\n"))
    assert run(lake, "sql", "-") == 0
    assert capsys.readouterr().out == "n\n4\n"


def test_a_script_is_answered_statement_by_statement_until_one_fails(
    lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "SELECT ';' AS a; -- ;\nSELECT\n 2 AS b;\nDROP TABLE sample; SELECT 3 AS c;\nSELECT 4;"
    monkeypatch.setattr(sys, "stdin", io.StringIO(script))
    before = files(lake)
    assert run(lake, "shell") == 1
    said = capsys.readouterr()
    assert said.out == "a\n;\nb\n2\n"
    assert said.err.startswith("Error: DROP is refused")
    assert files(lake) == before


class Prompt:
    """The command on a pseudo-terminal, typed at and read from as a person does."""

    def __init__(self, lake: Lake, home: Path) -> None:
        self.screen, inner = pty.openpty()
        variables = {**os.environ, "XDG_STATE_HOME": str(home), "COLUMNS": "100", "TERM": "dumb"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "layerhouse", "shell", "--lake", str(lake.root)],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=variables,
            close_fds=True,
            start_new_session=True,
        )
        os.close(inner)
        self.wait_for("layerhouse> ")

    def wait_for(self, text: str, seconds: float = 120) -> str:
        said, end = b"", time.monotonic() + seconds
        while text.encode() not in said:
            assert time.monotonic() < end, said.decode(errors="replace")
            if select.select([self.screen], [], [], 0.2)[0]:
                said += os.read(self.screen, 65536)
        return said.decode(errors="replace")

    def type(self, line: str, then: str = "layerhouse> ") -> str:
        os.write(self.screen, f"{line}\n".encode())
        # The terminal echoes what is typed before the answer; long paths break its lines.
        return " ".join(self.wait_for(then).split())


def test_the_prompt_answers_and_refuses_on_a_terminal(lake: Lake, tmp_path: Path) -> None:
    before = files(lake)
    prompt = Prompt(lake, tmp_path)
    assert "…" not in prompt.type("SELECT count(*) AS n", "...> ")
    assert "4" in prompt.type("FROM sample;")
    assert "DROP is refused" in prompt.type("DROP TABLE sample;")
    assert "SET is refused" in prompt.type("SET enable_external_access = true;")
    assert "Permission Error" in prompt.type("FROM read_text('/etc/passwd');")
    assert "^" in prompt.type("SELEC 1;")
    assert "mart_leaderboard" in prompt.type(".tables")
    schema = prompt.type(".schema sample")
    assert "group_id" in schema
    assert "One image" in schema or "sample:" in schema
    assert "did you mean sample" in prompt.type(".schema sampl")
    assert ".refresh" in prompt.type(".help")
    os.write(prompt.screen, b"\x04")
    assert prompt.process.wait(timeout=60) == 0
    os.close(prompt.screen)
    assert files(lake) == before
    assert "FROM sample;" in (tmp_path / "layerhouse" / "history").read_text()


def test_the_prompt_shows_rows_upright_and_writes_results_out(lake: Lake, tmp_path: Path) -> None:
    prompt = Prompt(lake, tmp_path)
    out = tmp_path / "my rows.csv"
    assert "there is no result to export yet" in prompt.type(f".export {out}")
    assert "─── 1 ─" not in prompt.type("SELECT sample_id, split FROM sample ORDER BY ALL;")
    assert "wrote" in prompt.type(f".export {out}")
    assert out.read_text().splitlines()[:2] == ["sample_id,split", "s0,train"]
    assert "is there already; .export!" in prompt.type(f".export {out}")
    assert "wrote" in prompt.type(f".export! {tmp_path / 'rows.parquet'}")
    assert "call it .csv or .parquet or .json or .md" in prompt.type(".export rows.xlsx")
    assert "own files" in prompt.type(f".export {lake.root / 'catalog.csv'}")
    assert "cannot write" in prompt.type(f".export {tmp_path / 'nowhere' / 'rows.csv'}")
    assert "each row on lines of its own" in prompt.type("\\x")
    assert "─── 1 ─" in prompt.type("SELECT sample_id, split FROM sample ORDER BY ALL;")
    assert "side by side" in prompt.type("\\x")
    assert "did you mean .export" in prompt.type(".exprt rows.csv")
    for wrong in ("SELECT 1 AS a; SELECT nope;", "SELECT 1 AS a; SELEC 2;"):
        prompt.type(wrong)
        assert "no result to export" in prompt.type(f".export! {out}"), wrong
    os.write(prompt.screen, b"\x04")
    assert prompt.process.wait(timeout=60) == 0
    os.close(prompt.screen)
    history = tmp_path / "layerhouse" / "history"
    assert history.stat().st_mode & 0o777 == 0o600
    assert history.parent.stat().st_mode & 0o777 == 0o700
    with duckdb.connect() as con:
        rows = con.sql(f"FROM '{tmp_path / 'rows.parquet'}'").fetchall()
    assert rows[0] == ("s0", "train")


def test_a_script_takes_what_begins_with_a_dot(
    lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "rows.json"
    script = f"SELECT 1 AS a;\n.export {out}\n.schema prompt\n.nonsense\nSELECT 2 AS b;\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(script))
    assert run(lake, "shell") == 1
    said = capsys.readouterr()
    assert json.loads(out.read_text()) == [{"a": 1}]
    assert said.out.startswith("a\n1\ncolumn_name,data_type,comment\nprompt_id,VARCHAR,")
    assert ".nonsense is not understood" in said.err
    assert "b" not in said.out.splitlines()


def test_json_has_null_for_what_is_no_number(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    query = (
        "SELECT 'nan'::FLOAT AS a, ['inf'::DOUBLE, 0.5, NULL] AS b, "
        "{'x': ['nan'::FLOAT], 'y': 1.25::DECIMAL(9,2)} AS c, MAP {'k': '-inf'::FLOAT} AS d, "
        "DATE '2026-01-02' AS e, '\\x41'::BLOB AS f, 170141183460469231731687303715884105727 AS g, "
        "TRUE AS h, chr(27) || 'é' AS i"
    )
    assert run(lake, "sql", query, "--format", "json") == 0

    def refused(word: str) -> None:
        raise AssertionError(word)

    (row,) = json.loads(capsys.readouterr().out, parse_constant=refused)
    assert row == {
        "a": None,
        "b": [None, 0.5, None],
        "c": {"x": [None], "y": 1.25},
        "d": {"k": None},
        "e": "2026-01-02",
        "f": "41",
        "g": 170141183460469231731687303715884105727,
        "h": True,
        "i": "\x1bé",
    }


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_two_columns_of_one_name_are_refused_where_names_tell_them_apart(
    form: str, lake: Lake, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / f"rows.{form}"
    query = "SELECT a.sample_id, b.sample_id FROM sample AS a, sample AS b"
    assert run(lake, "sql", query, "--format", form, "--out", str(out)) == 2
    assert "2 columns have the name 'sample_id'" in capsys.readouterr().err
    assert not out.exists()
    assert run(lake, "sql", f"{query} ORDER BY ALL LIMIT 1", "--format", "csv") == 0
    assert capsys.readouterr().out == "sample_id,sample_id\ns0,s0\n"


DEAF = "SELECT levenshtein(repeat('a', 300000), repeat('b', 300000))"
"""One value that takes DuckDB many seconds, in which it looks for no interruption."""


def _seconds_used(pid: int) -> float:
    """Of processors, by a process."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("ended", ["keyboard", "timeout"])
def test_a_query_that_does_not_stop_is_left_behind_in_one_line(lake: Lake, ended: str) -> None:
    command = [sys.executable, "-m", "layerhouse", "sql", DEAF, "--lake", str(lake.root)]
    running = subprocess.Popen(
        [*command, *(["--timeout", "2"] if ended == "timeout" else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if ended == "keyboard":
        # Starting takes less; a signal that comes while modules are imported may be lost.
        while running.poll() is None and _seconds_used(running.pid) < 1.5:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
    out, said = running.communicate(timeout=60)
    assert len(out.splitlines()) <= 1  # the header of what is not known yet
    assert len(said.strip().splitlines()) == 1
    assert running.returncode == (130 if ended == "keyboard" else 1)
    assert ("stopped by the keyboard" if ended == "keyboard" else "stopped after 2 s") in said
