"""What a batch computed arrives on the host as it was, batch by batch."""

from typing import Any

import numpy as np
import pytest
import torch

from extract.reading.to_host import Offload

BATCHES = (3, 5, 2, 5, 1)
"""Sizes that grow and shrink, more of them than there are slots."""


def batches(device: str) -> list[dict[Any, torch.Tensor]]:
    torch.manual_seed(0)
    return [
        {8: torch.randn(n, 2, 8, device=device), "likelihood": torch.randn(n, 4, device=device)}
        for n in BATCHES
    ]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("late", [0, 1, 4])
def test_batches_arrive_whole_however_late_they_are_fetched(device: str, late: int) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    given = batches(device)
    offload = Offload(torch.device(device))
    begun, arrived = [], []
    for tensors in given:
        begun.append(offload.begin(tensors))
        while len(begun) > late:
            arrived.append(begun.pop(0)())
    arrived += [fetch() for fetch in begun]
    for tensors, arrays in zip(given, arrived, strict=True):
        assert arrays.keys() == tensors.keys()
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(arrays[name], tensor.cpu().numpy())


def test_on_the_cpu_nothing_is_copied() -> None:
    tensor = torch.arange(3.0)
    (array,) = Offload(torch.device("cpu")).begin({"it": tensor})().values()
    tensor[0] = 9
    assert array[0] == 9
