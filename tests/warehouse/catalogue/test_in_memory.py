"""A catalogue in memory answers as a lake with the same rows does."""

import pytest

from tests.lakes import Signals, synthetic_lake
from warehouse.catalogue.in_memory import Scratch
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError
from warehouse.schema import BOOKKEEPING, tables
from warehouse.vocabulary import VECTOR_TABLES

VIEWS = ("stage_signal", "stage_loss", "failure_mode", "feature_health")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    models = {"tiny": Signals.losing(connector=0.3)}
    return synthetic_lake(tmp_path_factory.mktemp("lake"), models, n_samples=200)


@pytest.fixture(scope="module")
def given(lake):
    """Every row of the lake's small tables; a scratch has one run of its own."""
    with connect(lake) as wh:
        names = sorted(set(tables()) - BOOKKEEPING - {*VECTOR_TABLES, "run"})
        return {name: wh.sql(f"FROM {name}").to_arrow_table() for name in names}


@pytest.fixture
def scratch():
    with Scratch() as opened:
        yield opened


def test_views_of_equal_rows_are_equal(scratch, lake, given):
    scratch.replace(given)
    with connect(lake) as wh:
        for name in VIEWS:
            query = f"FROM {name} ORDER BY ALL"
            expected = wh.sql(query).fetchall()
            assert expected
            assert scratch.sql(query).fetchall() == expected


def test_what_reads_a_replaced_table_is_computed_again(scratch, given):
    modules = "SELECT DISTINCT module FROM stage_signal ORDER BY ALL"
    scratch.replace(given)
    assert len(scratch.sql(modules).fetchall()) > 1
    scratch.replace({"probe": given["probe"].slice(0, 0)})
    assert scratch.sql(modules).fetchall() == [("answer",)]


def test_rows_are_checked_as_a_lakes_are(scratch):
    with pytest.raises(LayerhouseError, match="model"):
        scratch.replace({"model": [{"model_id": "m"}]})
