"""Batch inputs: what a processor returned for a batch, and which of its positions are what."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
from torch import Tensor

from extract.anatomy.loci import Anatomy
from extract.anatomy.sample_rows import Array

UNKNOWN = "this layout is not known; docs/adding-a-model.md says how to bring a family along"


@dataclass
class BatchInputs:
    """What the processor returned for a batch, on the CPU, and the model's shapes around it."""

    inputs: Mapping[str, Any]
    anatomy: Anatomy
    config: Any

    @property
    def n(self) -> int:
        return int(self.inputs["input_ids"].shape[0])

    @cached_property
    def signature(self) -> bytes:
        """Equal for two batches with equal token maps: all integer inputs, and all shapes."""
        digest = blake2b(digest_size=16)
        for name, value in sorted(self.inputs.items()):
            if isinstance(value, Tensor):
                digest.update(f"{name}{tuple(value.shape)}".encode())
                if not value.is_floating_point():
                    digest.update(value.numpy().tobytes())
        return digest.digest()

    @cached_property
    def image_mask(self) -> Array:
        """Which prompt positions hold image tokens: bool (n, positions)."""
        ids = self.inputs["input_ids"].numpy()
        if self.anatomy.image_token_id is None or self.anatomy.crosses:
            return np.zeros(ids.shape, dtype=bool)
        return np.asarray(ids == self.anatomy.image_token_id)

    @cached_property
    def prompt_mask(self) -> Array:
        """Which prompt positions are not padding: bool (n, positions)."""
        mask = self.inputs.get("attention_mask")
        return np.ones(self.image_mask.shape, bool) if mask is None else mask.numpy().astype(bool)
