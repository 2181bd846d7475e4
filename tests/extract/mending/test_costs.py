"""What a training would cost is what it then costs, and asking leaves nothing behind."""

from __future__ import annotations

from dataclasses import astuple, replace
from pathlib import Path

import pytest

from extract.mending.costs import BYTES_TRAINED, outlook
from extract.mending.kinds import REPAIRS
from extract.mending.mending import mend
from extract.mending.recipe import MendEpoch
from tests.extract.mending.test_mending import REPAIR, SHORT, request_of
from warehouse.lake.lake import Lake

TWO_STEPS = replace(SHORT, accumulate=4, images=20)
"""Five batches make two steps an epoch."""


def test_what_a_training_would_cost_is_told_and_nothing_is_left_behind(
    llava_folder: Path, lake: Lake, tmp_path: Path
) -> None:
    request = request_of(llava_folder, tmp_path / "out", TWO_STEPS)
    before = lake.store.commit_names()
    plan = outlook(lake, request, [REPAIR["connector/finetune"]])
    assert (plan.n_train, plan.n_measured) == (20, 4)
    assert lake.store.commit_names() == before
    assert not request.out.exists()
    (one,) = plan.repairs
    assert (one.was_there, one.n_learned, one.n_epochs, one.n_steps) == (False, 0, 3, 6)
    assert one.seconds > 0
    assert one.footprint is not None
    assert one.footprint.trained == BYTES_TRAINED * (one.n_parameters or 0) > 0
    assert 0 < (one.footprint.kept_anew or 0) < one.footprint.kept


@pytest.mark.slow
def test_what_it_would_cost_is_what_it_then_costs(
    llava_folder: Path, lake: Lake, tmp_path: Path
) -> None:
    request = request_of(llava_folder, tmp_path / "out", TWO_STEPS)
    plan = {one.title: one for one in outlook(lake, request, REPAIRS).repairs}
    assert list(plan) == [repair.title for repair in REPAIRS]
    alone = outlook(lake, request, [REPAIR["vision/lora"]]).repairs[0]
    footprints = alone.footprint, plan["vision/lora"].footprint
    bare, behind = (astuple(one) for one in footprints if one)
    assert bare == pytest.approx(behind, rel=0.05)  # the others left the model as it was

    def stop(epoch: MendEpoch) -> None:
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mend(lake, request, REPAIR["connector/finetune"], stop)
    unfinished = (request.out / ".connector-finetune.unfinished").stat().st_size
    assert unfinished == pytest.approx(plan["connector/finetune"].disk_unfinished, rel=0.1)
    mend(lake, request, REPAIR["answer/label-rows"])
    again = {one.title: one for one in outlook(lake, request, REPAIRS).repairs}
    assert again["answer/label-rows"].was_there
    stopped = again["connector/finetune"]
    assert (stopped.n_learned, stopped.n_epochs, stopped.n_steps) == (2, 1, 2)
    for title, one in plan.items():
        if one.n_parameters is None:
            continue
        done = mend(lake, request, REPAIR[title])
        assert one.n_parameters == done.n_parameters
        (held,) = done.folder.glob("*.safetensors")
        saved = held.stat().st_size
        assert one.disk <= saved < 1.2 * one.disk + 20_000  # and the names
