"""One rule chooses the device and the numbers a model runs in; what is not there is named."""

from __future__ import annotations

import pytest
import torch

from extract.models.devices import choose_device, choose_dtype
from warehouse.devices import device_called
from warehouse.errors import UsageError


def test_automatic_is_a_gpu_where_there_is_one() -> None:
    assert device_called("auto", cuda=True, mps=False) == "cuda"
    assert device_called("auto", cuda=False, mps=True) == "cpu"
    assert device_called("cuda:1", cuda=True, mps=False) == "cuda:1"
    assert choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("gpu", "unknown device 'gpu'; did you mean cpu"),
        ("cuda:0", "this machine has no cuda device; leave --device at auto"),
        ("mps", "this machine has no mps device"),
    ],
)
def test_a_device_that_is_unknown_or_absent_is_named(asked: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        device_called(asked, cuda=False, mps=False)


def test_numbers_are_in_full_precision_on_the_cpu_unless_others_are_asked_for() -> None:
    assert choose_dtype("auto", "cpu") == "float32"
    assert choose_dtype("bfloat16", "cpu") == "bfloat16"
    with pytest.raises(UsageError, match="did you mean float16"):
        choose_dtype("flaot16", "cpu")


def test_bfloat16_is_chosen_only_where_the_gpu_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return including_emulation or native

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    native = False  # an older GPU, which has it by emulation only
    assert choose_dtype("auto", "cuda") == "float16"
    native = True
    assert choose_dtype("auto", "cuda") == "bfloat16"
