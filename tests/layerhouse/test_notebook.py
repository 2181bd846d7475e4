"""An open lake at home in a notebook: what it shows, its frames, figures and frames of others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

import layerhouse
from layerhouse.functions.notebook import OpenLake
from tests.conftest import Demo
from tests.lakes import MadeUpDataset, Signals, synthetic_lake, write_model
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake

MODEL = "org/one"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    place = tmp_path_factory.mktemp("lake") / "lakehouse"
    models = {MODEL: Signals.losing(connector=0.3), "two <b>": Signals.losing()}
    return synthetic_lake(place, models, n_samples=120)


@pytest.fixture
def wh(lake: Lake) -> Iterator[OpenLake]:
    with layerhouse.connect(lake) as opened:
        yield opened


def test_it_shows_every_model_and_markup_of_strangers_is_text(wh: OpenLake) -> None:
    assert MODEL in repr(wh)
    shown = wh._repr_html_()
    assert MODEL in shown
    assert "two <b>" not in shown


def test_frames_are_the_views_rows_of_what_was_asked_for(wh: OpenLake) -> None:
    assert wh.models["model_id"].to_list() == [MODEL, "two <b>"]
    assert wh.datasets["n_samples"].to_list() == [120]
    for frame, view in (
        (wh.signal_flow(MODEL, "shapes"), "signal_flow"),
        (wh.losses(MODEL), "mart_failure_modes"),
        (wh.samples(MODEL, "shapes"), "mart_sample_outcomes"),
    ):
        query = f"SELECT count(*) FROM {view} WHERE model_id = $1"
        assert frame.height == wh.sql(query, [MODEL]).fetchall()[0][0] > 0
        assert frame["model_id"].unique().to_list() == [MODEL]
    assert set(wh.samples()["model_id"]) == {MODEL, "two <b>"}
    with pytest.raises(UsageError, match="no model 'org/onee'; did you mean org/one"):
        wh.signal_flow("org/onee")
    with pytest.raises(UsageError, match="no dataset 'shape'; did you mean shapes"):
        wh.losses(dataset="shape")


def test_figures_are_drawn_by_name_saved_and_missing_ones_say_what_to_run(
    wh: OpenLake, tmp_path: Path
) -> None:
    picture = wh.plot.signal_curve(MODEL, "shapes")
    (path,) = picture.save(tmp_path)
    assert ElementTree.parse(path).getroot().tag.endswith("svg")
    assert path.read_text(encoding="utf-8").endswith(picture._repr_html_())
    assert repr(picture) == f"Figure of {path.name}"
    assert "signal_curves" in dir(wh.plot)
    with pytest.raises(
        LayerhouseError, match="nothing was patched between images: run `layerhouse patch --model "
    ):
        wh.plot.causal(MODEL)
    with pytest.raises(AttributeError, match="did you mean signal_curve"):
        wh.plot.signal_curv  # noqa: B018


def test_frames_of_the_caller_stand_beside_the_lakes_tables_and_change_none(
    wh: OpenLake,
) -> None:
    frame = pl.DataFrame({"model_id": [MODEL], "note": ["odd"]})
    told = wh.with_tables(mine=frame, more={"n": [1, 2]})
    query = "SELECT note FROM mine JOIN model USING (model_id) CROSS JOIN more"
    assert told.sql(query).fetchall() == [("odd",), ("odd",)]
    assert wh.with_tables(mine=frame.clear()).sql("SELECT * FROM mine").fetchall() == []
    with pytest.raises(UsageError, match="the lake has a table model of its own"):
        wh.with_tables(model=frame)
    with pytest.raises(UsageError, match="the lake has a table Failure_Mode of its own"):
        wh.with_tables(Failure_Mode=frame)  # which SQL takes for the view
    with pytest.raises(UsageError, match="x is no frame of Polars, pandas or Arrow, but str"):
        wh.with_tables(x="/etc/passwd")
    with pytest.raises(LayerhouseError):
        wh.sql("SELECT * FROM '/etc/passwd'")


def test_what_others_commit_is_told_and_seen_after_a_refresh(tmp_path: Path) -> None:
    place = synthetic_lake(tmp_path / "lakehouse", {MODEL: Signals()}, n_samples=60)
    with layerhouse.connect(place) as wh:
        wh.with_tables(mine={"n": [7]})
        assert not wh.is_stale
        write_model(place, MadeUpDataset.draw("shapes", 60, 4, 1, 0), "late", Signals())
        assert wh.is_stale
        assert "call refresh()" in repr(wh)
        assert wh.models["model_id"].to_list() == [MODEL]
        assert wh.refresh().models["model_id"].to_list() == ["late", MODEL]
        assert not wh.is_stale
        assert wh.sql("SELECT n FROM mine").fetchall() == [(7,)]


def test_the_example_notebook_runs_on_the_demos_lake(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYERHOUSE_LAKE", str(demo.lake.root))
    path = Path(__file__).parents[2] / "examples" / "first_look.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    seen: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), seen)
            assert cell["outputs"], "run it again and save what it shows"
    losses = seen["losses"]
    assert isinstance(losses, pl.DataFrame)
    assert losses.height


def test_a_projection_is_drawn_inline(demo: Demo, tmp_path: Path) -> None:
    with layerhouse.connect(demo.lake) as wh:
        assert "projection" in dir(wh.plot)
        drawn = wh.plot.projection("tiny-digits", "digits", at="llm.4/last", colour="answer")
        with pytest.raises(UsageError, match="no model 'tiny-digit'"):
            wh.plot.projection("tiny-digit", "digits", at="llm.4/last")
        with pytest.raises(UsageError, match=r"a place is MODULE\.LAYER/READOUT"):
            wh.plot.projection("tiny-digits", "digits", at="llm")
    assert drawn._repr_html_().startswith("<svg")
    assert [path.name for path in drawn.save(tmp_path)] == ["projection.svg"]
