"""Tables and prose fit the terminal they are shown on; elsewhere they stay whole."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from layerhouse.printing.cells import broken, shortened, width_of, wrapped
from layerhouse.printing.fitting import records, table
from tests.lakes import Signals, synthetic_lake
from warehouse.lake import Lake

FAULTS = [
    "tiny-digits",
    "tiny-digits+fault:swap@vision:0.5",
    "tiny-digits+fault:swap@connector:0.5",
]
TEXTS = (
    st.lists(st.sampled_from([*"ab0 -+:é正🙂", "e\u0301"]), max_size=40).map("".join).map(str.strip)
)


def lines(header: list[str], rows: list[list[str]], width: int | None) -> list[str] | None:
    sheet = table(header, rows, width)
    return None if sheet is None else [*sheet.header, *sheet.body]


def test_what_fits_stays_as_it_is() -> None:
    assert lines(["a", "name"], [["1", "x y z"]], 20) == ["a   name", "1   x y z"]


def test_headers_take_several_lines_first() -> None:
    shown = lines(["smallest loss_shown", "n"], [["5.0 points", "415"]], 22)
    assert shown == ["smallest", "loss_shown   n", "5.0 points   415"]


def test_names_are_broken_behind_a_mark_and_sentences_at_spaces() -> None:
    shown = lines(["model", "answers"], [[FAULTS[1], "generate 1,797, likelihood 1,797"]], 40)
    assert shown == [
        "model                answers",
        "tiny-digits+fault:   generate 1,797,",
        "swap@vision:0.5      likelihood 1,797",
    ]


def test_what_tells_names_apart_is_never_left_out() -> None:
    assert shortened(FAULTS, 30) == {
        FAULTS[0]: FAULTS[0],
        FAULTS[1]: "tiny-digits+fault:…vision:0.5",
        FAULTS[2]: "tiny-digits+…connector:0.5",
    }
    assert shortened(FAULTS, 19) == {
        FAULTS[0]: FAULTS[0],
        FAULTS[1]: "tiny-…vision:0.5",
        FAULTS[2]: "tiny-…connector:0.5",
    }
    assert shortened(FAULTS, 12) is None
    ends = ["Lingshu-7B-medical-instruct", "MedGemma-7B-medical-instruct"]
    assert shortened(ends, 22) == {ends[0]: "Lingshu…-instruct", ends[1]: "MedGemma…-instruct"}


def test_what_does_not_fit_is_stacked_with_every_word() -> None:
    row = ["connector_fidelity", "no longer readable behind the connector", "0.426"]
    assert table(["mode", "claim", "loss"], [row], 30) is None
    assert records(["mode", "claim", "loss"], row, 30) == [
        "mode    connector_fidelity",
        "claim   no longer readable",
        "        behind the connector",
        "loss    0.426",
    ]


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("正常な肺", 8),
        ("e\u0301tude", 5),
        ("👩\u200d👩\u200d👧", 2),
        ("👍🏽", 2),
        ("한국어", 6),
        ("नमस्ते", 4),
        ("ｱ", 1),
    ],
)
def test_the_width_of_letters_is_that_on_a_terminal(text: str, width: int) -> None:
    assert width_of(text) == width
    first, second = lines(["a", "b"], [[text, "|"], ["x" * 12, "|"]], None)[1:]  # type: ignore[index]
    assert width_of(first) == width_of(second) == 16


def test_numbers_are_broken_nowhere() -> None:
    assert broken("2026-11-28", 4) == ["2026-11-28"]
    assert lines(["n", "m"], [["12345678901", "12345678901"]], 20) is None


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=5), st.integers(20, 60))
def test_no_line_is_wider_than_the_terminal(rows: list[tuple[str, ...]], width: int) -> None:
    header = ["name", "what_it_is", "n"]
    shown = lines(header, [list(row) for row in rows], width)
    if shown is None:
        shown = [line for row in rows for line in records(header, list(row), width)]
        left = [letter for row in rows for text in row for letter in text if letter != " "]
        said = "".join(shown)
        assert all(said.count(letter) >= left.count(letter) for letter in set(left))
    assert max(map(width_of, shown)) <= width


def test_an_accent_alone_is_a_word_too() -> None:
    assert wrapped("正正 \u0301", 4, fold=True) == ["正正", "\u0301"]


def test_prose_is_broken_at_spaces_below_its_beginning() -> None:
    assert wrapped("  of a long sentence", 10) == ["  of a", "  long", "  sentence"]
    assert wrapped("see https://example.org/long-path now", 10) == [
        "see",
        "https://example.org/long-path",
        "now",
    ]
    assert wrapped("", 10) == [""]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    models = {
        "tiny": Signals(),
        "tiny+fault:swap@connector:0.5": Signals.losing(connector=0.3),
        "tiny+fault:head@answer:0.5": Signals.losing(answer=0.3),
    }
    return synthetic_lake(tmp_path_factory.mktemp("printing") / "lake", models, n_samples=60)


def on_terminal(width: int, *words: str, columns: str | None = None) -> tuple[int, list[str]]:
    """How a command ends on a terminal of that width, and the lines it shows there."""
    screen, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    told = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    told |= {"TERM": "xterm"} | ({} if columns is None else {"COLUMNS": columns})
    command = [sys.executable, "-m", "layerhouse", *words]
    running = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=told)
    os.close(inner)
    said = b""
    while True:
        try:
            part = os.read(screen, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        said += part
    os.close(screen)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).replace("\r\n", "\n")
    return running.wait(), shown.rstrip("\n").split("\n")


@pytest.mark.parametrize("width", [60, 80, 200])
def test_status_fits_the_terminal(lake: Lake, width: int) -> None:
    code, shown = on_terminal(width, "status", "--lake", str(lake.root))
    assert code == 0
    prose = [line for line in shown if str(lake.root) not in line]
    assert max(map(width_of, prose)) <= width
    said = re.sub(r"\s+", "", "".join(shown))
    assert "connector:0.5" in said
    assert "answer:0.5" in said


def test_errors_are_broken_between_words_but_a_caret_stays_below_its_fault(lake: Lake) -> None:
    place = ("--lake", str(lake.root))
    code, shown = on_terminal(40, "probe", "--model", "tny", "--dataset", "shapes", *place)
    assert code == 2
    assert " ".join(shown).startswith("Error: the lake holds no model 'tny'; did you mean tiny?")
    assert max(map(len, shown)) <= 40
    code, shown = on_terminal(40, "sql", f"SELECT {'1, ' * 20} nonsens FROM sample", *place)
    (caret,) = [n for n, line in enumerate(shown) if set(line.strip()) == {"^"}]
    assert shown[caret - 1][shown[caret].index("^") :].startswith("nonsens")


def test_documents_and_csv_stay_whole_on_a_terminal(lake: Lake) -> None:
    words = ("sql", "SELECT repeat('word ', 30) AS long", "--lake", str(lake.root), "--format")
    assert on_terminal(40, *words, "csv")[1] == ["long", "word " * 30]
    assert on_terminal(40, *words, "json")[1] == [f'[{{"long": "{"word " * 30}"}}]']


def test_columns_says_how_wide_a_terminal_is(lake: Lake) -> None:
    query = "SELECT * FROM range(3) a, range(3) b, range(3) c LIMIT 1"
    words = ("sql", query, "--lake", str(lake.root))
    assert len(on_terminal(20, *words, columns="200")[1]) == 3
    assert on_terminal(0, *words)[0] == 0  # a terminal that does not say


def test_a_pipe_gets_whole_names(lake: Lake) -> None:
    command = [sys.executable, "-m", "layerhouse", "status", "--lake", str(lake.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "tiny+fault:swap@connector:0.5   shapes" in done.stdout
    assert "…" not in done.stdout


@pytest.mark.parametrize(
    ("told", "encoding", "shown"),
    [
        ({"PYTHONIOENCODING": "ascii"}, "utf-8", "肺é"),
        ({"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, "utf-8", "肺é"),
        ({"PYTHONIOENCODING": "latin-1"}, "latin-1", "\\u80baé"),
    ],
)
def test_what_a_shell_cannot_write_is_written_all_the_same(
    told: dict[str, str], encoding: str, shown: str, lake: Lake
) -> None:
    """Containers often know ASCII only; there the query itself can hold no other letters."""
    query = "SELECT chr(32954) || chr(233) AS x"
    done = _told(told, "sql", query, "--lake", str(lake.root))
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode(encoding).split()[-1] == shown
    done = _told(told, "status", "--lake", str(lake.root))
    assert done.returncode == 0
    assert "\\u" not in done.stdout.decode(encoding)


def test_a_query_that_is_no_text_is_told_so(lake: Lake) -> None:
    done = _told({}, "sql", b"SELECT '\xff'", "--lake", str(lake.root))
    assert done.returncode == 2
    assert b"the query holds bytes that are no utf-8" in done.stderr


def _told(told: dict[str, str], *words: str | bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "layerhouse", *words]
    return subprocess.run(command, capture_output=True, env=os.environ | told, check=False)


def test_an_order_in_a_label_does_not_reach_the_terminal(tmp_path: Path) -> None:
    code, shown = on_terminal(80, "sql", "SELECT chr(27) || '[2J' AS x", "--lake", str(tmp_path))
    assert code == 0
    assert "\\x1b[2J" in shown
