"""Where the first epochs bring nothing, training begins anew with larger steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from extract.mending import learning
from extract.mending.job import Mended
from extract.mending.mending import mend
from extract.mending.recipe import MendEpoch, MendRecipe, fruitless_epochs
from tests.extract.mending.test_mending import REPAIR, request_of
from warehouse.lake.lake import Lake

RECIPE = MendRecipe(epochs=4, batch_size=4)
TOO_SMALL, BOLD = 1e-10, 1e-3
"""Of weights 64 times their size a step of the first changes nothing in fp32."""
FAULT = "damage@connector:64"
CONNECTOR = REPAIR["connector/finetune"]


@pytest.fixture
def timid(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a model is whose first epochs bring nothing."""
    monkeypatch.setattr(MendRecipe, "step_of", lambda recipe, _: recipe.learning_rate or TOO_SMALL)
    monkeypatch.setattr(learning, "BOLDER", BOLD / TOO_SMALL)


@pytest.mark.usefixtures("timid")
def test_epochs_that_are_left_learn_in_larger_steps_from_the_start(
    llava_folder: Path, lake: Lake, tmp_path: Path
) -> None:
    done = mend(lake, request_of(llava_folder, tmp_path / "out", RECIPE, FAULT), CONNECTOR)
    assert [epoch.learning_rate for epoch in done.history] == [
        None,
        *(2 * [TOO_SMALL]),
        *(2 * [pytest.approx(BOLD)]),
    ]
    assert [epoch.number for epoch in done.history] == [0, 1, 2, 3, 4]
    assert done.best.number > 2


@pytest.mark.usefixtures("timid")
def test_what_was_named_is_not_exceeded(llava_folder: Path, lake: Lake, tmp_path: Path) -> None:
    recipe = replace(RECIPE, learning_rate=TOO_SMALL)
    done = mend(lake, request_of(llava_folder, tmp_path / "out", recipe, FAULT), CONNECTOR)
    assert [epoch.learning_rate for epoch in done.history] == [None, TOO_SMALL, TOO_SMALL]
    assert done.best.number == 0


@pytest.mark.usefixtures("timid")
@pytest.mark.parametrize("last", [2, 3])
def test_one_that_is_stopped_there_goes_on_as_one_that_was_not(
    last: int, llava_folder: Path, lake: Lake, tmp_path: Path
) -> None:
    def stop(epoch: MendEpoch) -> None:
        if epoch.number == last:
            raise KeyboardInterrupt

    request = request_of(llava_folder, tmp_path / "stopped", RECIPE, FAULT)
    with pytest.raises(KeyboardInterrupt):
        mend(lake, request, CONNECTOR, stop)
    done = mend(lake, request, CONNECTOR)
    whole = mend(lake, replace(request, out=tmp_path / "whole"), CONNECTOR)
    assert [replace(epoch, seconds=0) for epoch in done.history] == [
        replace(epoch, seconds=0) for epoch in whole.history
    ]
    anew = weights_of(whole)
    assert all(torch.equal(weight, anew[name]) for name, weight in weights_of(done).items())


def weights_of(done: Mended) -> dict[str, torch.Tensor]:
    return load_file(done.folder / "adapter_model.safetensors")


def test_patience_counts_from_where_training_began_anew() -> None:
    told = [(0.5, 1.0, None), (0.4, 1.1, 0.1), (0.4, 1.2, 0.1), (0.3, 1.3, 1.0), (0.3, 1.4, 1.0)]
    history = [
        MendEpoch(number, None, score, loss, 0.0, rate)
        for number, (score, loss, rate) in enumerate(told)
    ]
    assert [fruitless_epochs(history[: n + 1]) for n in range(5)] == [0, 1, 2, 1, 2]
