"""A worker that is told its ranges is whole when it is made, and accounts for what it committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from extract.engines.told_worker import ToldWorker
from extract.running.extraction import extract
from extract.sharing.claims import Claims
from extract.sharing.job import look_up, structure_of, wanted_by
from extract.sharing.ledger import Ledger
from tests.extract.running.test_agent import N, _request
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake
from warehouse.lake.standing import commit_names


def test_a_told_worker_does_its_range_and_the_lake_is_complete(
    lake: Lake, llava_folder: Path
) -> None:
    request = _request(llava_folder, batch_size=5)
    job = look_up(lake, request)
    worker = ToldWorker(job, 1, commit_names(lake)[-1])
    with Claims(lake, job.model_id, job.dataset_id) as claims:
        worker.description.write(job, job.writer(), claims)
    wanted = wanted_by(job, *structure_of(worker.description.covers))
    (due,) = Ledger(job).lacking(wanted)
    steps = [*worker.do(due, N), *worker.flush()]
    assert [step.n for step in steps] == [5, 5, 2, 0]
    assert [place for step in steps for place in step.committed] == [(0, N)]
    assert sum(step.n_bytes for step in steps) > 0
    account = worker.end()
    assert account.seconds["forward"] > 0
    assert account.notes == ("off the path to the answer: vision.2, vision.3",)
    assert Ledger(job).lacking(wanted) == []
    assert not extract(lake, request).added


def test_a_machine_that_does_not_see_the_lake_is_told_before_a_model_is_loaded(
    lake: Lake, llava_folder: Path
) -> None:
    job = look_up(lake, _request(llava_folder))
    with pytest.raises(LayerhouseError, match="does not see the lake"):
        ToldWorker(job, 1, "extract-of-another-lake-0")
