"""Labels that were planted wrong are suspect, right ones are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.lakes import Signals, synthetic_lake
from warehouse.catalogue.refreshing import connect
from warehouse.lake.runs import RunSpec, RunWriter


@pytest.mark.slow
def test_planted_label_noise_is_found_where_models_are_good(tmp_path: Path) -> None:
    """Of 200 test labels 10 are turned; everything is right on 96% of the images."""
    good = Signals(0.96, 0.96, 0.96, 0.96)
    lake = synthetic_lake(tmp_path / "lake", {"m": good}, baseline=0.96)
    with connect(lake) as wh:
        query = "SELECT * EXCLUDE (run_id) FROM sample WHERE split = 'test' ORDER BY sample_id"
        rows = wh.sql(query).pl().to_dicts()
        assert wh.sql("SELECT * FROM label_suspect").fetchall() == []
    chosen = np.random.default_rng(0).choice(len(rows), 10, replace=False)
    wrong = [{**rows[i], "class_index": (rows[i]["class_index"] + 1) % 4} for i in chosen]
    with RunWriter(lake, RunSpec("datasets", None, "shapes", {"noise": True})) as writer:
        writer.commit({"sample": wrong})
        writer.finish()
    with connect(lake) as wh:
        found = wh.sql("SELECT sample_id, suggested_class_index FROM label_suspect").fetchall()
    truth = {rows[i]["sample_id"]: rows[i]["class_index"] for i in chosen}
    assert len(found) >= 8
    assert all(truth.get(sample) == suggested for sample, suggested in found)
