"""Vision maps: the rows of every sample in the activations of a tower, by kind of layout.

A batch's activations come in few shapes: one matrix per sample, one per tile of a sample, all
patches of all samples in one long matrix, or a feature map. Which one it is follows from the shape
together with what the processor returned; no family is asked for by name.
"""

from math import isqrt

import numpy as np

from extract.anatomy.batch_inputs import UNKNOWN, BatchInputs
from extract.anatomy.patches import packed_cells, packed_counts, patch_masks, tile_counts, tile_grid
from extract.anatomy.sample_rows import Array, SampleRows, TokenMap, extent, raster
from warehouse.errors import LayerhouseError


def vision_map(facts: BatchInputs, shape: tuple[int, ...]) -> TokenMap:
    """Blocks of the tower: by the shape, and by the count of patches each image must have."""
    n_rows = int(np.prod(shape[:-1])) if len(shape) != 4 else shape[0] * shape[2] * shape[3]
    if len(shape) == 4:
        return _equal_parts(facts.n, n_rows, prefix=0, grid=(shape[2], shape[3]))
    if len(shape) == 2 and not packed_counts(facts):
        return _pooled_map(facts, n_rows)
    if facts.inputs.get("aspect_ratio_mask") is not None:
        return _tile_padded_map(facts, shape)
    if counts := packed_counts(facts):
        return _packed_map(facts, n_rows, counts)
    positions = facts.inputs.get("image_position_ids")
    if positions is not None and tuple(positions.shape[:2]) == shape[:2]:
        return _positioned_map(n_rows, positions.numpy())
    tiles = tile_counts(facts)
    if shape[0] != sum(tiles):
        raise LayerhouseError(
            f"{facts.anatomy.model_type}: vision activations have shape {shape} for "
            f"{facts.n} images of {tiles} tiles; {UNKNOWN}"
        )
    return _tiled_map(facts, shape, tiles)


def _pooled_map(facts: BatchInputs, n_rows: int) -> TokenMap:
    """A norm that sees CLS tokens only: one row per tile, the first tile's is the sample's."""
    tiles = tile_counts(facts)
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
                cells=None if grid is None else raster(grid),
                shape=grid or (0, 0),
                cls=int(every[0]) if prefix else None,
            )
        )
    return TokenMap(n_rows, tuple(samples))


def _tiled_map(facts: BatchInputs, shape: tuple[int, ...], tiles: list[int]) -> TokenMap:
    """(tiles of all images, tokens, width); one tile per image is the plain layout."""
    tokens = shape[1]
    grid = tile_grid(facts)
    prefix = _prefix_length(tokens, grid)
    if prefix:
        grid = square(tokens - prefix) if grid is None else grid
    if max(tiles) == 1:
        if grid is not None and grid[0] * grid[1] != tokens - prefix:
            grid = square(tokens - prefix)
        masks = patch_masks(facts, tokens - prefix)
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
            shape = extent(cells)  # padding lies below and to the right
        samples.append(SampleRows(rows + index * len(mask), rows + index * len(mask), cells, shape))
    return TokenMap(n_rows, tuple(samples))


def _packed_map(facts: BatchInputs, n_rows: int, counts: list[int]) -> TokenMap:
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
        cells = packed_cells(facts, index, merged)
        if cells is None or len(cells) != len(rows):
            samples.append(SampleRows(rows, rows))
        else:
            samples.append(SampleRows(rows, rows, cells, extent(cells)))
        start += count // merged
    return TokenMap(n_rows, tuple(samples))


def _positioned_map(n_rows: int, positions: Array) -> TokenMap:
    """Patches with explicit (x, y) positions, padding marked by negative ones."""
    samples = []
    for index, places in enumerate(positions):
        rows = np.flatnonzero((places >= 0).all(axis=-1))
        cells = places[rows][:, ::-1]
        rows = rows + index * len(places)
        samples.append(SampleRows(rows, rows, cells, extent(cells)))
    return TokenMap(n_rows, tuple(samples))


def _tile_padded_map(facts: BatchInputs, shape: tuple[int, ...]) -> TokenMap:
    """Tiles padded to a common number, with a mask of the real ones, as mllama has them.

    A tile holds a CLS token, its patches, and padding. Padding is no part of the image but takes
    part in attention, so it counts as the sample's own.
    """
    present = facts.inputs["aspect_ratio_mask"].numpy().reshape(facts.n, -1).astype(bool)
    n_rows = int(np.prod(shape[:-1]))
    tiled = np.arange(n_rows).reshape(*present.shape, -1)
    grid = tile_grid(facts)
    real = grid[0] * grid[1] + 1 if grid is not None else tiled.shape[-1]
    samples = []
    for own, mask in zip(tiled, present, strict=True):
        tiles = own[mask, :real]
        single = grid if len(tiles) == 1 else None
        samples.append(
            SampleRows(
                image=tiles[:, 1:].reshape(-1),
                every=own.reshape(-1),
                cells=None if single is None else raster(single),
                shape=single or (0, 0),
                cls=int(tiles[0, 0]),
            )
        )
    return TokenMap(n_rows, tuple(samples))


def _prefix_length(tokens: int, grid: tuple[int, int] | None) -> int:
    """How many tokens stand before the patches: CLS, and registers in some towers."""
    if grid is not None and 0 <= tokens - grid[0] * grid[1] <= 8:
        return tokens - grid[0] * grid[1]
    return 0


def square(tokens: int) -> tuple[int, int] | None:
    side = isqrt(tokens)
    return (side, side) if side * side == tokens else None
