"""Patches: how many an image has and where they lie, from what the processor returned."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from extract.anatomy.batch_inputs import BatchInputs
from extract.anatomy.sample_rows import Array, raster


def packed_counts(facts: BatchInputs) -> list[int] | None:
    """Patches per image where a processor packs images of any size; None where it does not."""
    grid = facts.inputs.get("image_grid_thw")
    if grid is not None:
        return [int(count) for count in grid.prod(-1)]
    sizes = _patch_sizes(facts)
    return None if sizes is None else [int(count) for count in sizes.prod(-1)]


def _patch_sizes(facts: BatchInputs) -> Tensor | None:
    """Height and width in patches of packed images without a temporal axis."""
    sizes = facts.inputs.get("target_sizes")
    if sizes is not None:
        return torch.as_tensor(sizes)
    pixels, sizes = facts.inputs.get("pixel_values"), facts.inputs.get("image_sizes")
    vision = getattr(facts.config, "vision_config", None)
    if sizes is None or pixels is None or pixels.dim() != 4 or pixels.shape[0] != facts.n:
        return None
    return torch.as_tensor(sizes) // int(_side(getattr(vision, "patch_size", 1)))


def packed_cells(facts: BatchInputs, index: int, merged: int) -> Array | None:
    """The (row, column) of each packed patch of an image, in the order the tower keeps them."""
    thw = facts.inputs.get("image_grid_thw")
    if thw is None:
        sizes = _patch_sizes(facts)
        return None if sizes is None or merged != 1 else raster(tuple(sizes[index].tolist()))
    vision = facts.config.vision_config
    merge = int(getattr(vision, "spatial_merge_size", 1) or 1)
    if "image_merge_sizes" in facts.inputs:
        merge = int(facts.inputs["image_merge_sizes"][index])
    _, height, width = (int(side) for side in thw[index])
    if merged == merge**2:
        return raster((height // merge, width // merge))
    if merged != 1:
        return None
    cells = raster((height, width)).reshape(height // merge, merge, width // merge, merge, 2)
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


def patch_grid(facts: BatchInputs, index: int) -> tuple[int, int] | None:
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
    return tile_grid(facts)


def tile_grid(facts: BatchInputs) -> tuple[int, int] | None:
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


def tile_counts(facts: BatchInputs) -> list[int]:
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


def patch_masks(facts: BatchInputs, tokens: int) -> Array | None:
    """Which patches of each image hold pixels, where images are padded to a common size."""
    mask, grid = facts.inputs.get("pixel_attention_mask"), tile_grid(facts)
    if mask is None or grid is None or grid[0] * grid[1] != tokens:
        return None
    pixels = mask.reshape(facts.n, *mask.shape[-2:]).bool()
    side = pixels.shape[-1] // grid[1]
    patches = pixels.unfold(1, side, side).unfold(2, side, side).any(dim=-1).any(dim=-1)
    return np.asarray(patches.flatten(1).numpy())
