"""Layouts: which rows of an activation belong to which sample, and where in the image they lie.

A batch's activations come in few shapes: one matrix per sample, one per tile of a sample, all
patches of all samples in one long matrix, or a feature map. Which one it is follows from the shape
together with what the processor returned; no family is asked for by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from math import isqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor

from extract.anatomy.loci import CROSS_STATES, Anatomy, Locus
from warehouse.errors import LayerhouseError

Array = np.ndarray[Any, np.dtype[Any]]


UNKNOWN = "this layout is not known; docs/adding-a-model.md says how to bring a family along"


@dataclass(frozen=True)
class SampleRows:
    """One sample's rows of a flattened activation.

    `image` holds the rows of its image tokens in reading order; `cells` tells for each of them its
    (row, column) in a grid of `shape` (height, width), or is None where tokens have no place in the
    image. `every` holds all rows that carry something of the sample; `cls` and `last` are single
    rows.
    """

    image: Array
    every: Array
    cells: Array | None = None
    shape: tuple[int, int] = (0, 0)
    cls: int | None = None
    last: int | None = None


@dataclass(frozen=True)
class TokenMap:
    """The rows of every sample of a batch in an activation flattened to (rows, width)."""

    n_rows: int
    samples: tuple[SampleRows, ...]

    @property
    def readouts(self) -> tuple[str, ...]:
        """The readouts this locus can give for every sample, in canonical order."""
        found = []
        if all(len(sample.image) for sample in self.samples):
            found.append("mean")
        if all(sample.cls is not None for sample in self.samples):
            found.append("cls")
        if all(sample.last is not None for sample in self.samples):
            found.append("last")
        if "mean" in found:
            found.append("grid")
        return tuple(found)


def flatten(states: Tensor) -> Tensor:
    """An activation of any layout as (rows, width): feature maps put their channels last."""
    if states.dim() == 4:
        states = states.flatten(2).transpose(1, 2)
    return states.reshape(-1, states.shape[-1])


def unflatten(rows: Tensor, like: Tensor) -> Tensor:
    """The inverse of `flatten` for an activation shaped as `like`."""
    if like.dim() == 4:
        n, channels, height, width = like.shape
        return rows.reshape(n, height * width, channels).transpose(1, 2).reshape(like.shape)
    return rows.reshape(like.shape)


@dataclass
class BatchFacts:
    """What the processor returned for a batch, on the CPU, and the model's shapes around it."""

    inputs: Mapping[str, Any]
    anatomy: Anatomy
    config: Any
    _maps: dict[tuple[str, tuple[int, ...]], TokenMap] = field(default_factory=dict)

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

    def token_map(self, locus: Locus, shape: tuple[int, ...]) -> TokenMap:
        """The rows of every sample in an activation of this shape, read at `locus`."""
        if locus.module != "vision" and locus.reads != CROSS_STATES:
            return self.prompt_map(shape)
        if ("vision", shape) not in self._maps:
            self._maps["vision", shape] = _vision_map(self, shape)
        return self._maps["vision", shape]

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
                cells=None if grid is None else _raster(grid),
                shape=grid or (0, 0),
                last=int(start + every[-1]),
            )
        )
    return TokenMap(shape[0] * shape[1], tuple(samples))


def _prompt_grid(facts: BatchFacts, index: int, n_tokens: int) -> tuple[int, int] | None:
    """Height and width of a sample's image tokens in the prompt, if they form one raster.

    The patch grid, shrunk by the whole factor that leaves the right number of tokens.
    """
    grid = _patch_grid(facts, index)
    if grid is None or n_tokens == 0 or _tile_counts(facts)[index] > 1:
        return None
    height, width = grid
    factor = isqrt(max(height * width // n_tokens, 1))
    height, width = height // factor, width // factor
    return (height, width) if height * width == n_tokens else None


def _vision_map(facts: BatchFacts, shape: tuple[int, ...]) -> TokenMap:
    """Blocks of the tower: by the shape, and by the count of patches each image must have."""
    n_rows = int(np.prod(shape[:-1])) if len(shape) != 4 else shape[0] * shape[2] * shape[3]
    if len(shape) == 4:
        return _equal_parts(facts.n, n_rows, prefix=0, grid=(shape[2], shape[3]))
    if len(shape) == 2 and not _packed_counts(facts):
        return _pooled_map(facts, n_rows)
    if facts.inputs.get("aspect_ratio_mask") is not None:
        return _tile_padded_map(facts, shape)
    if counts := _packed_counts(facts):
        return _packed_map(facts, n_rows, counts)
    positions = facts.inputs.get("image_position_ids")
    if positions is not None and tuple(positions.shape[:2]) == shape[:2]:
        return _positioned_map(n_rows, positions.numpy())
    tiles = _tile_counts(facts)
    if shape[0] != sum(tiles):
        raise LayerhouseError(
            f"{facts.anatomy.model_type}: vision activations have shape {shape} for "
            f"{facts.n} images of {tiles} tiles; {UNKNOWN}"
        )
    return _tiled_map(facts, shape, tiles)


def _pooled_map(facts: BatchFacts, n_rows: int) -> TokenMap:
    """A norm that sees CLS tokens only: one row per tile, the first tile's is the sample's."""
    tiles = _tile_counts(facts)
    if sum(tiles) != n_rows:
        raise LayerhouseError(
            f"{facts.anatomy.model_type}: {n_rows} pooled vision rows for {facts.n} images of "
            f"{tiles} tiles; {UNKNOWN}"
        )
    parts = np.split(np.arange(n_rows), np.cumsum(tiles)[:-1])
    nothing = np.empty(0, dtype=np.int64)
    return TokenMap(n_rows, tuple(SampleRows(nothing, p, cls=int(p[0])) for p in parts))


def _equal_parts(n: int, n_rows: int, prefix: int, grid: tuple[int, int] | None) -> TokenMap:
    """Every sample has the same number of consecutive rows, the first `prefix` of them no patch."""
    size = n_rows // n
    samples = []
    for index in range(n):
        every = np.arange(index * size, (index + 1) * size)
        samples.append(
            SampleRows(
                image=every[prefix:],
                every=every,
                cells=None if grid is None else _raster(grid),
                shape=grid or (0, 0),
                cls=int(every[0]) if prefix else None,
            )
        )
    return TokenMap(n_rows, tuple(samples))


def _tiled_map(facts: BatchFacts, shape: tuple[int, ...], tiles: list[int]) -> TokenMap:
    """(tiles of all images, tokens, width); one tile per image is the plain layout."""
    tokens = shape[1]
    grid = _tile_grid(facts)
    prefix = _prefix_length(tokens, grid)
    if prefix:
        grid = _square(tokens - prefix) if grid is None else grid
    if max(tiles) == 1:
        if grid is not None and grid[0] * grid[1] != tokens - prefix:
            grid = _square(tokens - prefix)
        masks = _patch_masks(facts, tokens - prefix)
        if masks is None:
            return _equal_parts(facts.n, facts.n * tokens, prefix, grid)
        return _masked_map(facts.n * tokens, masks, grid)
    samples, start = [], 0
    for count in tiles:
        every = np.arange(start * tokens, (start + count) * tokens)
        per_tile = every.reshape(count, tokens)
        samples.append(
            SampleRows(
                image=per_tile[:, prefix:].reshape(-1),
                every=every,
                cls=int(per_tile[0, 0]) if prefix else None,
            )
        )
        start += count
    return TokenMap(shape[0] * tokens, tuple(samples))


def _masked_map(n_rows: int, masks: Array, grid: tuple[int, int] | None) -> TokenMap:
    """Images of several sizes padded to one: only patches that hold pixels count."""
    samples = []
    for index, mask in enumerate(masks):
        rows = np.flatnonzero(mask)
        cells, shape = None, (0, 0)
        if grid is not None:
            cells = np.stack(np.divmod(rows, grid[1]), axis=1)
            shape = _extent(cells)  # padding lies below and to the right
        samples.append(SampleRows(rows + index * len(mask), rows + index * len(mask), cells, shape))
    return TokenMap(n_rows, tuple(samples))


def _packed_map(facts: BatchFacts, n_rows: int, counts: list[int]) -> TokenMap:
    """All patches of all images in one long matrix, possibly merged inside the tower."""
    merged = sum(counts) // max(n_rows, 1)
    if merged * n_rows != sum(counts):
        raise LayerhouseError(
            f"{facts.anatomy.model_type}: {n_rows} vision rows for images of {counts} patches; "
            "this layout is not understood"
        )
    samples, start = [], 0
    for index, count in enumerate(counts):
        rows = np.arange(start, start + count // merged)
        cells = _packed_cells(facts, index, merged)
        if cells is None or len(cells) != len(rows):
            samples.append(SampleRows(rows, rows))
        else:
            samples.append(SampleRows(rows, rows, cells, _extent(cells)))
        start += count // merged
    return TokenMap(n_rows, tuple(samples))


def _positioned_map(n_rows: int, positions: Array) -> TokenMap:
    """Patches with explicit (x, y) positions, padding marked by negative ones."""
    samples = []
    for index, places in enumerate(positions):
        rows = np.flatnonzero((places >= 0).all(axis=-1))
        cells = places[rows][:, ::-1]
        rows = rows + index * len(places)
        samples.append(SampleRows(rows, rows, cells, _extent(cells)))
    return TokenMap(n_rows, tuple(samples))


def _tile_padded_map(facts: BatchFacts, shape: tuple[int, ...]) -> TokenMap:
    """Tiles padded to a common number, with a mask of the real ones, as mllama has them.

    A tile holds a CLS token, its patches, and padding. Padding is no part of the image but takes
    part in attention, so it counts as the sample's own.
    """
    present = facts.inputs["aspect_ratio_mask"].numpy().reshape(facts.n, -1).astype(bool)
    n_rows = int(np.prod(shape[:-1]))
    tiled = np.arange(n_rows).reshape(*present.shape, -1)
    grid = _tile_grid(facts)
    real = grid[0] * grid[1] + 1 if grid is not None else tiled.shape[-1]
    samples = []
    for own, mask in zip(tiled, present, strict=True):
        tiles = own[mask, :real]
        single = grid if len(tiles) == 1 else None
        samples.append(
            SampleRows(
                image=tiles[:, 1:].reshape(-1),
                every=own.reshape(-1),
                cells=None if single is None else _raster(single),
                shape=single or (0, 0),
                cls=int(tiles[0, 0]),
            )
        )
    return TokenMap(n_rows, tuple(samples))


def _packed_counts(facts: BatchFacts) -> list[int] | None:
    """Patches per image where a processor packs images of any size; None where it does not."""
    grid = facts.inputs.get("image_grid_thw")
    if grid is not None:
        return [int(count) for count in grid.prod(-1)]
    sizes = _patch_sizes(facts)
    return None if sizes is None else [int(count) for count in sizes.prod(-1)]


def _patch_sizes(facts: BatchFacts) -> Tensor | None:
    """Height and width in patches of packed images without a temporal axis."""
    sizes = facts.inputs.get("target_sizes")
    if sizes is not None:
        return torch.as_tensor(sizes)
    pixels, sizes = facts.inputs.get("pixel_values"), facts.inputs.get("image_sizes")
    vision = getattr(facts.config, "vision_config", None)
    if sizes is None or pixels is None or pixels.dim() != 4 or pixels.shape[0] != facts.n:
        return None
    return torch.as_tensor(sizes) // int(_side(getattr(vision, "patch_size", 1)))


def _packed_cells(facts: BatchFacts, index: int, merged: int) -> Array | None:
    """The (row, column) of each packed patch of an image, in the order the tower keeps them."""
    thw = facts.inputs.get("image_grid_thw")
    if thw is None:
        sizes = _patch_sizes(facts)
        return None if sizes is None or merged != 1 else _raster(tuple(sizes[index].tolist()))
    vision = facts.config.vision_config
    merge = int(getattr(vision, "spatial_merge_size", 1) or 1)
    if "image_merge_sizes" in facts.inputs:
        merge = int(facts.inputs["image_merge_sizes"][index])
    _, height, width = (int(side) for side in thw[index])
    if merged == merge**2:
        return _raster((height // merge, width // merge))
    if merged != 1:
        return None
    cells = _raster((height, width)).reshape(height // merge, merge, width // merge, merge, 2)
    blocks = cells.transpose(0, 2, 1, 3, 4).reshape(-1, merge**2, 2)
    if getattr(vision, "window_size", None) and hasattr(vision, "fullatt_block_indexes"):
        blocks = blocks[_window_order(height // merge, width // merge, merge, vision)]
    return np.tile(blocks.reshape(-1, 2), (int(thw[index, 0]), 1))


def _window_order(height: int, width: int, merge: int, vision: Any) -> Array:
    """The order in which a windowed tower keeps its merged blocks: window by window."""
    side = vision.window_size // merge // vision.patch_size
    rows, columns = np.divmod(np.arange(height * width), width)
    keys = (columns % side, rows % side, columns // side, rows // side)
    return np.lexsort(keys)


def _patch_grid(facts: BatchFacts, index: int) -> tuple[int, int] | None:
    """Height and width in patches of one image as the tower sees it, if there is one raster."""
    thw = facts.inputs.get("image_grid_thw")
    if thw is not None:
        return (int(thw[index, 1]), int(thw[index, 2])) if int(thw[index, 0]) == 1 else None
    sizes = _patch_sizes(facts)
    if sizes is not None:
        height, width = sizes[index].tolist()
        return int(height), int(width)
    positions = facts.inputs.get("image_position_ids")
    if positions is not None:
        width, height = (positions[index].amax(dim=0) + 1).tolist()
        return int(height), int(width)
    return _tile_grid(facts)


def _tile_grid(facts: BatchFacts) -> tuple[int, int] | None:
    """Height and width in patches of one tile, from its pixels and the tower's patch size."""
    pixels = facts.inputs.get("pixel_values")
    vision = getattr(facts.config, "vision_config", None)
    patch = getattr(vision, "patch_size", None)
    if (
        pixels is None
        or patch is None
        or pixels.dim() < 4
        or (isinstance(patch, list) and len(patch) > 2)
    ):
        return None
    side = _side(patch)
    return int(pixels.shape[-2]) // side, int(pixels.shape[-1]) // side


def _side(size: Any) -> int:
    return int(size[0] if isinstance(size, list | tuple) else size)


def _tile_counts(facts: BatchFacts) -> list[int]:
    """How many tiles each image was cut into; 1 everywhere for a processor that does not cut."""
    pixels = facts.inputs.get("pixel_values")
    if pixels is None:
        return [1] * facts.n
    if pixels.dim() == 5:  # (n, most tiles, …), missing tiles are all zero
        return [max(int(t.flatten(1).any(dim=1).sum()), 1) for t in pixels]
    if pixels.dim() == 4 and pixels.shape[0] > facts.n:  # tiles of all images in a row
        tokens = facts.image_mask.sum(axis=1)
        per_tile = tokens.sum() // pixels.shape[0]
        return [int(count // per_tile) for count in tokens]
    return [1] * facts.n


def _patch_masks(facts: BatchFacts, tokens: int) -> Array | None:
    """Which patches of each image hold pixels, where images are padded to a common size."""
    mask, grid = facts.inputs.get("pixel_attention_mask"), _tile_grid(facts)
    if mask is None or grid is None or grid[0] * grid[1] != tokens:
        return None
    pixels = mask.reshape(facts.n, *mask.shape[-2:]).bool()
    side = pixels.shape[-1] // grid[1]
    patches = pixels.unfold(1, side, side).unfold(2, side, side).any(dim=-1).any(dim=-1)
    return np.asarray(patches.flatten(1).numpy())


def _prefix_length(tokens: int, grid: tuple[int, int] | None) -> int:
    """How many tokens stand before the patches: CLS, and registers in some towers."""
    if grid is not None and 0 <= tokens - grid[0] * grid[1] <= 8:
        return tokens - grid[0] * grid[1]
    return 0


def _square(tokens: int) -> tuple[int, int] | None:
    side = isqrt(tokens)
    return (side, side) if side * side == tokens else None


def _extent(cells: Array) -> tuple[int, int]:
    """Height and width of the smallest grid that holds these cells."""
    height, width = cells.max(axis=0) + 1
    return int(height), int(width)


def _raster(grid: tuple[int, int]) -> Array:
    """(row, column) of a grid's cells in reading order: (height × width, 2)."""
    rows, columns = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    return np.stack([rows, columns], axis=1)
