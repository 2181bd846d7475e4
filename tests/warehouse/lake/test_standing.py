"""Which commits are asked for, and what of their records is read for that."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.warehouse.small_lakes import DATASET, add_extraction, rewrite, small_lake
from warehouse.lake import standing
from warehouse.lake.commits import Commit, NewerRecordError, RecordError, moment_of
from warehouse.lake.lake import Lake
from warehouse.lake.standing import list_commits


def test_of_runs_about_something_else_one_record_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = small_lake(tmp_path / "lake")
    for model in ("alpha", "beta"):
        add_extraction(lake, model)
    whole = list_commits(lake)
    read: list[str] = []
    real = standing.read_commit

    def counted(lake: Lake, name: str) -> Commit:
        read.append(name)
        return real(lake, name)

    monkeypatch.setattr(standing, "read_commit", counted)
    found = list_commits(lake, command="extract", model_id="alpha", dataset_id=DATASET)
    assert found == [one for one in whole if one.model_id == "alpha"]
    assert len(found) == 3
    of_others = {name.rpartition("-")[0] for name in read} - {found[0].run_id}
    assert len(of_others) == 2
    assert len({name for name in read if name.rpartition("-")[0] in of_others}) == 2
    assert len(list_commits(lake, model_id="alpha")) == 3
    assert len(list_commits(lake, command="extract")) == 9


def test_a_writer_needs_no_whole_record_to_come_after_it(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake")
    for one in list_commits(lake):
        assert moment_of(lake, one.commit_id) == one.order[0]
    path = lake.commits_dir / f"{one.commit_id}.json"
    text = path.read_text()
    for damaged in ("", "{", text.replace("committed_at", "committed"), "\0" * 99):
        path.write_text(damaged)
        with pytest.raises(RecordError):
            moment_of(lake, one.commit_id)
    path.write_text(text)
    rewrite(path, schema="9999_from_tomorrow")
    with pytest.raises(NewerRecordError, match="upgrade Layerhouse"):
        moment_of(lake, one.commit_id)
