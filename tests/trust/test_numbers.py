"""No number that was committed, whatever it is, keeps a lake from being read."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.warehouse.full_lake import full_lake
from tests.warehouse.small_lakes import activation_rows, answer_row
from warehouse.catalogue.refreshing import connect, refresh
from warehouse.errors import LayerhouseError
from warehouse.lake import shards
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.shards import checked_table

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


@pytest.mark.parametrize("bad", BAD)
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
