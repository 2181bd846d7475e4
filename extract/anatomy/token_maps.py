"""Token maps: the rows of every sample of a batch, in the tower's states and the prompt's."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isqrt

import numpy as np

from extract.anatomy.batch_inputs import UNKNOWN, BatchInputs
from extract.anatomy.loci import CROSS_STATES, Locus
from extract.anatomy.patches import patch_grid, tile_counts
from extract.anatomy.sample_rows import SampleRows, TokenMap, raster
from extract.anatomy.vision_maps import vision_map
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import VISION


@dataclass
class BatchFacts(BatchInputs):
    """A batch's inputs, and the token maps that follow from them for activations of any shape.

    `rows` says which sample each row of the model's input is, while replies go on: finished ones
    are gone, and a sample may be there several times. None: every sample once. `replied` says,
    where the model runs its own replies behind the prompts, how many tokens of each are read.
    """

    rows: Sequence[int] | None = None
    replied: tuple[int, ...] | None = None
    _maps: dict[tuple[str, tuple[int, ...]], TokenMap] = field(default_factory=dict)

    @contextmanager
    def running(self, rows: Sequence[int]) -> Iterator[None]:
        """Within the block, the model runs these samples."""
        before, self.rows = self.rows, rows
        try:
            yield
        finally:
            self.rows = before

    def behind(self, replied: Sequence[int]) -> "BatchFacts":
        """The layout of the same prompts with these many tokens of their replies."""
        return BatchFacts(self.inputs, self.anatomy, self.config, replied=tuple(replied))

    @property
    def layout(self) -> tuple[bytes, tuple[int, ...] | None]:
        """Equal for two batches with equal token maps."""
        return self.signature, self.replied

    def token_map(self, locus: Locus, shape: tuple[int, ...]) -> TokenMap:
        """The rows of every sample in an activation of this shape, read at `locus`."""
        if locus.module != VISION and locus.reads != CROSS_STATES:
            return self.prompt_map(shape)
        if (VISION, shape) not in self._maps:
            self._maps[VISION, shape] = vision_map(self, shape)
        return self._maps[VISION, shape]

    def prompt_map(self, shape: tuple[int, ...]) -> TokenMap:
        """The rows of every sample in (n, positions, width) states of the decoder."""
        if ("prompt", shape) not in self._maps:
            self._maps["prompt", shape] = _prompt_map(self, shape)
        return self._maps["prompt", shape]


def _prompt_map(facts: BatchFacts, shape: tuple[int, ...]) -> TokenMap:
    """Decoder blocks: (n, positions, width), image tokens where the prompt says so."""
    n, positions = facts.image_mask.shape
    if shape[0] != n or shape[1] < positions:
        raise LayerhouseError(
            f"{facts.anatomy.model_type}: decoder activations have shape {shape} for a prompt of "
            f"{n} × {positions} tokens; {UNKNOWN}"
        )
    samples = []
    for index in range(n):
        image = np.flatnonzero(facts.image_mask[index])
        every = np.flatnonzero(facts.prompt_mask[index])
        grid = _prompt_grid(facts, index, len(image))
        start = index * shape[1]
        samples.append(
            SampleRows(
                image=start + image,
                every=start + every,
                cells=None if grid is None else raster(grid),
                shape=grid or (0, 0),
                last=int(start + every[-1]),
                reply=_reply_row(facts, index, int(start + every[-1]), start + positions),
            )
        )
    return TokenMap(shape[0] * shape[1], tuple(samples))


def _reply_row(facts: BatchFacts, index: int, last: int, first: int) -> int | None:
    """The row of the last token that is read of a reply, whose `first` stands behind the prompt's
    `last`; that one where nothing of the reply is read.
    """
    if facts.replied is None:
        return None
    return first + facts.replied[index] - 1 if facts.replied[index] else last


def _prompt_grid(facts: BatchFacts, index: int, n_tokens: int) -> tuple[int, int] | None:
    """Height and width of a sample's image tokens in the prompt, if they form one raster.

    The patch grid, shrunk by the whole factor that leaves the right number of tokens.
    """
    grid = patch_grid(facts, index)
    if grid is None or n_tokens == 0 or tile_counts(facts)[index] > 1:
        return None
    height, width = grid
    factor = isqrt(max(height * width // n_tokens, 1))
    height, width = height // factor, width // factor
    return (height, width) if height * width == n_tokens else None
