"""No number that was committed, whatever it is, keeps a lake from being read."""

from __future__ import annotations

import itertools
import math
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.warehouse.full_lake import full_lake
from tests.warehouse.small_lakes import activation_rows, answer_row
from warehouse.catalogue.definitions import SHIPPED
from warehouse.catalogue.refreshing import connect, refresh
from warehouse.errors import LayerhouseError
from warehouse.lake import shards
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.shards import checked_table
from warehouse.publishing.publishing import publish
from warehouse.schema import table_schema, tables
from warehouse.status import status

BAD = [math.nan, math.inf, -math.inf]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return full_lake(tmp_path_factory.mktemp("numbers") / "lake", 24)


@pytest.fixture
def lake(kept: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(kept.root, tmp_path / "lake")
    return Lake.at(tmp_path / "lake")


def _logits(lake: Lake) -> dict[str, Any]:
    with connect(lake) as wh:
        relation = wh.sql("FROM probe_logit ORDER BY probe_id, sample_id LIMIT 1")
        return dict(zip(relation.columns, relation.fetchall()[0], strict=True))


@pytest.mark.parametrize("bad", BAD)
def test_what_is_not_finite_is_refused_where_it_is_written(lake: Lake, bad: float) -> None:
    row = {name: value for name, value in _logits(lake).items() if name != "run_id"}
    row["logits"] = [0.5, bad, *row["logits"][2:]]
    with pytest.raises(LayerhouseError, match=rf"logits of probe_logit .*{row['sample_id']}"):
        checked_table("probe_logit", [row], "probe-000000000000")
    answer = answer_row("s1") | {"label_logprobs": [bad, 0.0]}
    with pytest.raises(LayerhouseError, match=r"label_logprobs of answer .*sample_id s1"):
        checked_table("answer", [answer_row("s0"), answer], "extract-000000000000")
    vector = activation_rows(["s0", "s1"])
    vector[-1]["vector"] = [0.0, bad]
    with pytest.raises(LayerhouseError, match=r"activation of .* sample s1 holds NaN or Inf"):
        checked_table("activation", vector, "extract-000000000000")
    fact = {"dataset_id": "d", "sample_id": "s", "brightness": 1.0, "contrast": bad}
    fact |= {"border": 1.0, "colour": 1.0, "file_type": "PNG", "is_blank": False}
    with pytest.raises(LayerhouseError, match="contrast of image_fact"):
        checked_table("image_fact", [fact], "audit-000000000000")


def test_finite_numbers_and_none_at_all_are_written() -> None:
    table = checked_table("answer", [answer_row("s0")], "extract-000000000000")
    assert isinstance(table, pa.Table)
    assert table["label_logprobs"].to_pylist() == [None]


@pytest.mark.slow
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_were_written_before_leave_their_scores_out(
    lake: Lake, bad: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = _logits(lake)
    with connect(lake) as wh:
        query = (
            "SELECT source_id, split, round(auroc, 9), round(log_loss, 9) FROM probability_score"
        )
        before = wh.sql(query).fetchall()
    row["logits"] = [bad] * len(row["logits"])
    monkeypatch.setattr(shards, "_refuse_not_finite", lambda *_: None)
    spec = RunSpec("probe", "alpha", "shapes", {"kind": "linear"})
    with RunWriter(lake, spec) as writer:
        del row["run_id"]
        writer.commit({"probe_logit": [row]}, covers={"replaces": ["probe_logit"]})
        writer.finish()
    lake.catalogue.unlink()
    refresh(lake)
    with connect(lake) as wh:
        after = wh.sql(query).fetchall()
    assert {one[:2] for one in after} == {one[:2] for one in before}
    changed = set(after) - set(before)
    assert changed == {(row["probe_id"], row["split"], None, None)}


def _spoiled(rows: pa.Table) -> pa.Table:
    """The same rows with numbers in them that an earlier version might have written."""
    bad = itertools.cycle(BAD)
    for place, field in enumerate(rows.schema):
        values = rows[field.name].to_pylist()
        if pa.types.is_floating(field.type):
            values = [None if value is None else next(bad) for value in values]
        elif _has_floats(field.type):
            values = [value and [next(bad)] * len(value) for value in values]
        rows = rows.set_column(place, field, pa.array(values, field.type))
    return rows


def _has_floats(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(getattr(kind, "value_type", kind)))


def test_no_number_of_any_table_keeps_a_view_from_being_built(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [name for name in tables() if any(_has_floats(f.type) for f in table_schema(name))]
    with connect(lake) as wh:
        held = {name: wh.sql(f'FROM "{name}"').to_arrow_table() for name in wanted}
    monkeypatch.setattr(shards, "_refuse_not_finite", lambda *_: None)
    with RunWriter(lake, RunSpec("probe", "alpha", "shapes", {"of": "all"})) as writer:
        rows = {name: _spoiled(table) for name, table in held.items()}
        writer.commit(rows, covers={"replaces": wanted})
        writer.finish()
    refresh(lake)
    with connect(lake) as wh:
        assert wh.unbuilt() == []


# A view that does not build.


@pytest.fixture
def broken(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake whose rows keep a view, of which others are made, from being built."""
    views = dict(SHIPPED.views)
    views["answer_accuracy"] = (
        f"SELECT * FROM ({views['answer_accuracy']}) WHERE cast(model_id AS INTEGER) > 0"
    )
    monkeypatch.setitem(SHIPPED.__dict__, "views", views)
    refresh(lake, force=True)
    return lake


def test_a_view_that_does_not_build_is_named_and_left_out_and_the_others_answer(
    broken: Lake, tmp_path: Path
) -> None:
    with connect(broken) as wh:
        left = dict(wh.unbuilt())
        assert "answer_accuracy" in left
        assert "Could not convert" in left["answer_accuracy"]
        others = [reason for name, reason in left.items() if name != "answer_accuracy"]
        assert others
        assert all("which does not build" in reason for reason in others)
        for name in SHIPPED.views.keys() | SHIPPED.marts.keys():
            if name in left:
                with pytest.raises(LayerhouseError, match=rf"^{name} is left out of the catalogue"):
                    wh.sql(f"FROM {name}")
            else:
                wh.sql(f"FROM {name} LIMIT 1").fetchall()
        assert wh.sql("FROM probe_accuracy").fetchall()
    report = status(broken)
    assert "answer_accuracy is left out" in str(report.problem)
    assert report.datasets
    out = tmp_path / "marts"
    lacking = sorted(name for name in left if name.startswith("mart_"))
    with pytest.raises(LayerhouseError, match=f"{lacking[0]} is left out .* the other marts"):
        publish(broken, out)
    assert {path.stem for path in out.glob("mart_*.csv")} == SHIPPED.marts.keys() - {*lacking}


@pytest.mark.slow
def test_it_is_back_as_soon_as_its_rows_are_right(
    broken: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    with RunWriter(broken, RunSpec("datasets", None, "more", {})) as writer:
        writer.finish()
    with connect(broken) as wh:
        assert wh.unbuilt() == []
        assert wh.sql("FROM answer_accuracy").fetchall()


@pytest.mark.slow
def test_new_rows_may_keep_a_view_from_being_built(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = dict(SHIPPED.views)
    views["answer_accuracy"] = (
        f"SELECT * FROM ({views['answer_accuracy']}) WHERE (SELECT count(*) FROM model) < 3 OR "
        "cast(model_id AS INTEGER) > 0"
    )
    monkeypatch.setitem(SHIPPED.__dict__, "views", views)
    refresh(lake, force=True)
    with connect(lake) as wh:
        assert wh.unbuilt() == []
        (model,) = wh.sql("FROM model LIMIT 1").to_arrow_table().to_pylist()
    model["model_id"] = "gamma"
    del model["run_id"]
    with RunWriter(lake, RunSpec("extract", "gamma", "shapes", {})) as writer:
        writer.commit({"model": [model]})
    with connect(lake) as wh:
        assert "answer_accuracy" in dict(wh.unbuilt())
        assert wh.sql("SELECT count(*) FROM model").fetchall() == [(3,)]
