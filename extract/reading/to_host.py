"""Offloading: what a batch computed, on its way from the device to the host.

Beside a GPU the copy runs on a stream of its own into pinned memory, so that the next batch's
forward pass is already running while the readouts of the last one arrive. On the CPU nothing is
copied.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

Key = TypeVar("Key", bound=Hashable)
Arrays = dict[Key, np.ndarray[Any, Any]]
SLOTS = 2
"""Batches under way at once: one arriving, one being computed."""


@dataclass
class _Slot(Generic[Key]):
    """Pinned memory that is used again and again, and who has not fetched from it yet."""

    pinned: dict[Key, Tensor] = field(default_factory=dict)
    fetch: Callable[[], Arrays[Key]] | None = None

    def room(self, name: Key, like: Tensor) -> Tensor:
        """Pinned memory of the tensor's shape; grows with the largest batch."""
        held = self.pinned.get(name)
        if held is None or len(held) < len(like) or held.shape[1:] != like.shape[1:]:
            held = torch.empty(like.shape, dtype=like.dtype, pin_memory=True)
            self.pinned[name] = held
        return held[: len(like)]


class Offload(Generic[Key]):
    """Brings batches' tensors of one kind to the host, in the order in which they were begun."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._slots = [_Slot[Key]() for _ in range(SLOTS)]
        self._turn = 0
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def begin(self, tensors: Mapping[Key, Tensor]) -> Callable[[], Arrays[Key]]:
        """Start the copies; the call that is returned waits for them.

        It gives arrays of the tensors' shapes, and may be called later and more than once. Tensors
        must not be written to afterwards.
        """
        if self._stream is None:
            here = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
            return lambda: here
        slot = self._slots[self._turn]
        self._turn = (self._turn + 1) % SLOTS
        if slot.fetch is not None:
            slot.fetch()
        slot.fetch = self._copy(slot, tensors, self._stream)
        return slot.fetch

    def _copy(
        self, slot: _Slot[Key], tensors: Mapping[Key, Tensor], stream: torch.cuda.Stream
    ) -> Callable[[], Arrays[Key]]:
        stream.wait_stream(torch.cuda.current_stream(self.device))
        arriving = {name: slot.room(name, tensor) for name, tensor in tensors.items()}
        with torch.cuda.stream(stream):
            for name, tensor in tensors.items():
                arriving[name].copy_(tensor, non_blocking=True)
                tensor.record_stream(stream)  # its memory is not given to others before
            done = stream.record_event()
        fetched: Arrays[Key] = {}

        def fetch() -> Arrays[Key]:
            if not fetched:
                done.synchronize()
                fetched.update({name: host.numpy().copy() for name, host in arriving.items()})
            return fetched

        return fetch
