"""Reads the image tokens of one locus as one tensor, in the order of the samples."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from analysis.probes.activations import Samples
from warehouse.catalogue import Warehouse
from warehouse.errors import LayerhouseError
from warehouse.untrusted import memory
from warehouse.vocabulary import Cell

COPIES = 3
"""How often tokens are in memory at once: as they are read, filled up, and those before them."""


def read_tokens(
    wh: Warehouse, model_id: str, dataset_id: str, cells: Sequence[Cell], samples: Samples
) -> Tensor:
    """The image tokens of a single cell: float32 [1, n samples, tokens, width], NaN where an image
    has fewer tokens than another.

    Raises LayerhouseError, naming the cell, where they do not fit into the memory.
    """
    (cell,) = cells
    named, matrix = wh.token_vectors(model_id, dataset_id, cell.module, cell.layer)
    held, starts, counts = np.unique(
        np.array(named, dtype=object), return_index=True, return_counts=True
    )
    n, most, width = len(samples.ids), int(counts.max()), matrix.shape[1]
    if COPIES * 4 * n * most * width > memory():
        raise LayerhouseError(
            f"{model_id} at {cell}: {most:,} tokens of {n:,} samples, {width:,} numbers each, do "
            "not fit into the memory; use a smaller dataset or a larger machine"
        )
    place = pc.index_in(
        pa.array(samples.ids, pa.string()), value_set=pa.array(held, pa.string())
    ).to_numpy()
    out = torch.full((1, n, most, width), torch.nan)
    rows = out[0].numpy()
    for at, of in enumerate(place):
        rows[at, : counts[of]] = matrix[starts[of] : starts[of] + counts[of]]
    return out
