"""Files that several processes draw: each is there once, whatever becomes of a process."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from matplotlib.font_manager import FontPath, findfont

from analysis.report.paper import forking
from analysis.report.paper.fonts import DEFAULT, part_of
from analysis.report.paper.forking import do_all
from warehouse.errors import LayerhouseError


@pytest.fixture
def three(monkeypatch):
    monkeypatch.setattr(forking, "_processes", lambda _: 3)


def _leave(folder: Path, number: int) -> None:
    (folder / f"{number}").write_text(f"{os.getpid()}")


@pytest.mark.usefixtures("three")
def test_every_piece_is_done_and_by_several(tmp_path):
    do_all([partial(_leave, tmp_path, number) for number in range(10)])
    by = {int(path.name): path.read_text() for path in tmp_path.iterdir()}
    assert sorted(by) == list(range(10))
    assert len(set(by.values())) == 3
    assert by[0] == str(os.getpid())


@pytest.mark.usefixtures("three")
def test_what_a_killed_process_left_undone_is_done_here(tmp_path):
    here = os.getpid()

    def killed(number):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        _leave(tmp_path, number)

    do_all([partial(killed, number) for number in range(10)])
    assert {path.read_text() for path in tmp_path.iterdir()} == {str(here)}
    assert len(list(tmp_path.iterdir())) == 10


@pytest.mark.usefixtures("three")
def test_where_no_process_can_be_had_all_is_done_here(tmp_path, monkeypatch):
    def none():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", none)
    do_all([partial(_leave, tmp_path, number) for number in range(10)])
    assert len(list(tmp_path.iterdir())) == 10


@pytest.mark.usefixtures("three")
def test_an_error_of_any_process_is_raised(tmp_path):
    def fails(number):
        if number == 8:
            raise LayerhouseError("the disk is full")
        _leave(tmp_path, number)

    with pytest.raises(LayerhouseError, match="the disk is full"):
        do_all([partial(fails, number) for number in range(10)])


def test_a_part_of_a_font_says_nothing_of_when_it_was_cut():
    font = FontPath(findfont(DEFAULT), 0)
    with TTFont(part_of(font, [])) as part, TTFont(font.path) as whole:
        assert part["head"].modified == whole["head"].modified
