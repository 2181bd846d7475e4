"""A training that is stopped at any moment goes on, and ends as if it had not been."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from extract.mending.job import MendRequest, telling_unsaved
from extract.mending.mending import mend
from extract.mending.recipe import MendEpoch
from extract.mending.unfinished import Unfinished
from tests.extract.mending.test_mending import REPAIR, SHORT, request_of
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake

TENSORS = {"weight/a": torch.arange(6.0).reshape(2, 3), "best/a": torch.ones(2, 3)}
TOLD = {"history": [{"number": 0, "val_loss": float("inf")}]}


@pytest.fixture
def kept(tmp_path: Path) -> Unfinished:
    unfinished = Unfinished(tmp_path / ".lora.unfinished", {"recipe": {"seed": 0}})
    unfinished.write(TENSORS, TOLD)
    return unfinished


def test_what_was_kept_is_read_as_it_was(kept: Unfinished) -> None:
    found = kept.read()
    assert found is not None
    assert found[1] == TOLD
    assert found[0].keys() == TENSORS.keys()
    assert all(torch.equal(found[0][name], TENSORS[name]) for name in TENSORS)
    kept.remove()
    assert kept.read() is None


def test_another_training_s_file_is_none_and_so_is_a_damaged_one(kept: Unfinished) -> None:
    assert replace(kept, identity={"recipe": {"seed": 1}}).read() is None
    whole = kept.path.read_bytes()
    for length in (0, 16, 32, 36, 100, len(whole) - 1):
        kept.path.write_bytes(whole[:length])
        assert kept.read() is None
    for place in range(0, len(whole), 7):
        flipped = bytes([*whole[:place], whole[place] ^ 1, *whole[place + 1 :]])
        kept.path.write_bytes(flipped)
        assert kept.read() is None


@contextmanager
def files_of_at_most(n_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_where_there_is_no_room_the_one_before_stays(kept: Unfinished) -> None:
    more = {name: tensor.repeat(100, 100) for name, tensor in TENSORS.items()}
    with (
        files_of_at_most(10_000),
        pytest.raises(LayerhouseError, match=r"0\.5 MB: .*; make room and run the command again"),
    ):
        kept.write(more, TOLD)
    found = kept.read()
    assert found is not None
    assert torch.equal(found[0]["weight/a"], TENSORS["weight/a"])
    assert [path.name for path in kept.path.parent.iterdir()] == [kept.path.name]


@pytest.mark.parametrize(
    "write",
    [
        lambda path: save_file({"a": torch.zeros(9_000)}, path),
        lambda path: path.write_text("9" * 9_000),
    ],
)
def test_a_repair_that_finds_no_room_is_told_in_one_sentence(
    write: Callable[[Path], object], tmp_path: Path
) -> None:
    told = f"^the repair cannot be saved in {tmp_path}: .*File too large.*; make room there and run"
    with (
        files_of_at_most(1_000),
        pytest.raises(LayerhouseError, match=told),
        telling_unsaved(tmp_path),
    ):
        write(tmp_path / "adapter.safetensors")


class Stop(BaseException):
    """As a kill is: nothing that is written for an error happens."""


def stop(*_: object) -> None:
    raise Stop


def stopped(lake: Lake, request: MendRequest, at: Callable[[], object]) -> list[int]:
    """Mend until it is stopped behind the first epoch, and give the epochs that were told."""
    epochs: list[int] = []

    def told(epoch: MendEpoch) -> None:
        epochs.append(epoch.number)
        if epoch.number == 1:
            at()

    with pytest.raises(Stop):
        mend(lake, request, REPAIR["connector/finetune"], told)
    return epochs


@pytest.mark.slow
def test_a_training_stopped_again_and_again_ends_as_one_that_was_not(
    llava_folder: Path, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of(llava_folder, tmp_path / "stopped")
    other = replace(request, recipe=replace(SHORT, seed=1))

    def while_it_learns() -> None:
        calls = iter([None, None, Stop])  # in the third step of the second epoch
        clip = torch.nn.utils.clip_grad_norm_

        def clipped(*arguments: object) -> object:
            return stop() if next(calls) else clip(*arguments)

        monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clipped)

    assert stopped(lake, other, while_it_learns) == [0, 1]
    monkeypatch.undo()
    assert stopped(lake, request, lambda: monkeypatch.setattr(os, "fsync", stop)) == [0, 1]
    monkeypatch.undo()
    told: list[MendEpoch] = []
    done = mend(lake, request, REPAIR["connector/finetune"], told.append)
    assert told == done.history
    assert [path.name for path in request.out.iterdir()] == [done.folder.name]
    whole = mend(lake, replace(request, out=tmp_path / "whole"), REPAIR["connector/finetune"])
    assert done.best.number > 1  # which was learned after the stops
    assert [replace(epoch, seconds=0) for epoch in done.history] == [
        replace(epoch, seconds=0) for epoch in whole.history
    ]
    assert done.n_parameters == whole.n_parameters
    weights, anew = (load_file(one.folder / "adapter_model.safetensors") for one in (done, whole))
    assert weights.keys() == anew.keys()
    assert all(torch.equal(weights[name], anew[name]) for name in weights)
