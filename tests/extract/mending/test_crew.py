"""Several processes learn what one learns, and what one of them fails of ends all."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from extract.mending.job import Mended
from extract.mending.mending import mend
from extract.mending.recipe import MendEpoch
from tests.extract.mending.test_mending import REPAIR, SHORT, request_of
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake

SHARED = replace(SHORT, accumulate=3, batch_size=3, images=20, checkpointing=True)
"""Seven batches, the last of them smaller: steps of three, three and one, where one has nothing."""


def weights(of: Mended) -> dict[str, torch.Tensor]:
    return load_file(of.folder / "adapter_model.safetensors")


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_and_go_on_where_one_died(
    llava_folder: Path, lake: Lake, tmp_path: Path
) -> None:
    repair, request = REPAIR["llm/lora"], request_of(llava_folder, tmp_path / "one", SHARED)
    one = mend(lake, request, repair)
    shared = replace(request, out=tmp_path / "two", workers=2)

    def killing(epoch: MendEpoch) -> None:
        if epoch.number == 1:
            multiprocessing.active_children()[-1].kill()

    with pytest.raises(
        LayerhouseError, match=r"on cpu died \(exit code -9\).* its last whole epoch"
    ):
        mend(lake, shared, repair, killing)
    assert not multiprocessing.active_children()
    told: list[MendEpoch] = []
    two = mend(lake, shared, repair, told.append)
    assert told == two.history
    assert [path.name for path in shared.out.iterdir()] == [two.folder.name]
    assert one.best.number > 1
    assert two.n_parameters == one.n_parameters
    for mine, own in zip(two.history, one.history, strict=True):
        assert (mine.number, mine.val_score) == (own.number, own.val_score)
        assert (mine.train_loss or 0) == pytest.approx(own.train_loss or 0, rel=1e-4)
        assert mine.val_loss == pytest.approx(own.val_loss, rel=1e-4)
    expected = weights(one)
    for name, weight in weights(two).items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_what_one_process_fails_of_is_told_as_if_it_were_alone(
    llava_folder: Path, lake: Lake, tmp_path: Path
) -> None:
    endless = replace(SHARED, learning_rate=1e30)
    request = replace(request_of(llava_folder, tmp_path, endless), workers=2)
    with pytest.raises(LayerhouseError, match="is no finite number while it is mended"):
        mend(lake, request, REPAIR["connector/finetune"])
    assert not multiprocessing.active_children()
