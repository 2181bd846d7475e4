"""The line of progress says what is being done and how long it takes, in the room there is."""

from __future__ import annotations

import io
import re

import pytest

from layerhouse.cli.shared import progress, progress_bar
from layerhouse.printing.cells import width_of


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


class Time:
    """A clock that a test turns."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(progress_bar.time, "monotonic", lambda: self.now)


def drawn(monkeypatch: pytest.MonkeyPatch, width: int, title: str = "extract tiny") -> list[str]:
    """What stands beside the bar after each step of a run: it loads, checks, then images come."""
    screen, clock = Screen(), Time(monkeypatch)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    with progress(title) as told:
        told(0, 800, "loading the model")
        clock.now += 500
        told(0, 800, "checking how it is read")
        for done in (100, 400, 800):
            clock.now += 10
            told(done, 800, "images, 40.0 a second, 0.001 GB written")
            clock.now += 1  # it is drawn ten times a second
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    lines = [line for line in re.split(r"[\r\n]+", plain) if line.strip()]
    assert max(map(width_of, lines)) <= width
    return [line.lstrip("━╸╺ ").rstrip() for line in lines]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_line_fits_and_ends_with_all_done(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    last = drawn(monkeypatch, width)[-1]
    assert last.startswith("extract tiny: images, 800 of 800")
    assert ("0.001 GB written" in last) == (width == 200)


def test_a_title_of_wide_letters_keeps_to_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "正常" in drawn(monkeypatch, 60, "正常な肺")[-1]


def test_there_is_one_time_left_at_the_pace_since_it_came_going(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Time(monkeypatch)
    watch = progress_bar._Clock()
    assert watch.left(0, 800) == ""
    clock.now += 500  # of loading, which is done once
    assert watch.left(0, 800) == ""
    clock.now += 10
    assert watch.left(100, 800) == "70 s left"
    clock.now += 190
    assert watch.left(200, 20_000) == "5.5 h left"
    assert watch.left(200, 1_000) == "13 min left"
    assert watch.left(200, 200) == ""


def test_without_a_terminal_lines_come_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Time(monkeypatch)
    with progress("extract tiny") as told:
        told(0, 800, "loading the model")
        clock.now += 11
        told(0, 800, "checking how it is read")
        clock.now += 5
        told(100, 800, "images, 20.0 a second")
        clock.now += 5
        told(200, 800, "images, 20.0 a second")
    assert capsys.readouterr().err.splitlines() == [
        "extract tiny: checking how it is read",
        "extract tiny: images, 200 of 800, 30 s left, 20.0 a second",
    ]
