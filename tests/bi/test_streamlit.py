"""The Streamlit page shows the lake's own numbers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bi.lake import EXPECTED, MARTS, PUBLISHED, count, difference
from tests.lakes import Signals, synthetic_lake
from warehouse.catalogue.refreshing import connect
from warehouse.lake.lake import Lake
from warehouse.publishing.publishing import publish

pytest.importorskip("streamlit", reason='install it with `pip install "layerhouse[streamlit]"`')

from bi.streamlit import shown  # needs streamlit

MODELS = {"alpha": Signals(), "beta": Signals.losing(llm=0.2)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Path]]:
    root = tmp_path_factory.mktemp("streamlit")
    lake = synthetic_lake(root / "lake", MODELS, n_samples=80)
    publish(lake, root / "marts.duckdb", patients=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAYERHOUSE_MARTS", str(root / "marts.duckdb"))
        yield lake, root / "marts.duckdb"


def _expected(lake: Lake, name: str) -> list[dict[str, object]]:
    with connect(lake) as wh:
        if name == PUBLISHED:
            marts = [mart for (mart,) in wh.sql(MARTS).fetchall()]
            return [
                {"mart": mart, "n_rows": wh.sql(count(mart)).fetchall()[0][1]} for mart in marts
            ]
        found = wh.sql((EXPECTED / f"{name}.sql").read_text("utf-8"))
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def test_every_table_and_chart_holds_the_rows_of_the_lake(place: tuple[Lake, Path]) -> None:
    lake, marts = place
    rows = shown.rows(shown.open_page(marts))
    assert rows.keys() == {PUBLISHED, *(path.stem for path in EXPECTED.glob("*.sql"))}
    found = {name: difference(rows[name], _expected(lake, name)) for name in rows}
    assert found == dict.fromkeys(rows)


def test_a_chosen_model_is_alone_on_the_page(place: tuple[Lake, Path]) -> None:
    page = shown.open_page(place[1])
    page.multiselect(key="models").select("beta").run()
    rows = shown.rows(page)
    named = {
        name: {row["model_id"] for row in found}
        for name, found in rows.items()
        if "model_id" in found[0]
    }
    assert named == {name: {"beta"} for name in named}
    assert len(named) == 8


@pytest.mark.slow
def test_a_newer_publication_shows_at_the_next_click(
    place: tuple[Lake, Path], tmp_path: Path
) -> None:
    marts = tmp_path / "marts.duckdb"
    shutil.copy(place[1], marts)
    page = shown.open_page(marts)
    publish(synthetic_lake(tmp_path / "other", {"gamma": Signals()}, n_samples=80), marts)
    page.run()
    assert [row["model_id"] for row in shown.rows(page)["leaderboard"]] == ["gamma"]


def test_a_missing_file_is_said_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="run `layerhouse publish --out"):
        shown.open_page(tmp_path / "none.duckdb")
