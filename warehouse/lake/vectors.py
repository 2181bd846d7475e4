"""Reading one locus' vectors straight from its shards, into one matrix.

SQL can do the same (`activation`, `activations(…)`) and stays the way to ask anything else; but
DuckDB hands a list column over through buffers of its own, which takes several times as long as
decoding it. Here every row group that a shard holds of the locus is decoded in a thread and copied
once, to its place in the result.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake
from warehouse.lake.unpacking import open_shard, spelt_out, unpacked
from warehouse.untrusted import UnfitError, check_shard_unpacked, memory

Matrix = npt.NDArray[np.float32]
VALUES = "vector.list.element"


@dataclass(frozen=True)
class _Found:
    """One shard's rows of the locus: its row groups, which of their rows, and whose they are.

    `widths` are those of the row groups' vectors, by their metadata.
    """

    path: str
    groups: list[int]
    wanted: npt.NDArray[np.bool_]
    sample_ids: list[str]
    widths: set[float]


def read_locus(
    lake: Lake, paths: Sequence[str], layer: int, readout: str, name: str
) -> tuple[list[str], Matrix]:
    """The sample ids, sorted, and the vectors float32 [n samples, width] of one locus and readout.

    `paths`, relative to the lake, are the activation shards of one model, dataset and module;
    `name` is what messages call the locus. Both results are empty where no shard holds it. Raises
    LayerhouseError for vectors of different widths and for a shard that is gone or damaged.
    """
    return _read(lake, paths, {"layer": layer, "readout": readout}, name)


def read_tokens(
    lake: Lake, paths: Sequence[str], layer: int, name: str
) -> tuple[list[str], Matrix]:
    """Of every image token of a locus the sample id, sorted, and the vectors [n tokens, width], in
    the order of a sample's tokens. `paths` are the shards of `token_activation`, else as above.
    """
    return _read(lake, paths, {"layer": layer}, name)


def _read(
    lake: Lake, paths: Sequence[str], asked: Mapping[str, int | str], name: str
) -> tuple[list[str], Matrix]:
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = pool.map(lambda path: _find(lake, path, asked), paths)
            parts = [part for part in found if part.sample_ids]
            names = [sample_id for part in parts for sample_id in part.sample_ids]
            if not names:
                return [], np.empty((0, 0), dtype=np.float32)
            # A sample's tokens lie in one shard, in their order.
            order = np.argsort(np.array(names, dtype=object), kind="stable")
            places = np.empty(len(names), dtype=np.int64)
            places[order] = np.arange(len(names))
            width = _common_width(parts, name)
            if 4 * width * len(names) > memory():
                raise UnfitError(f"{len(names):,} vectors of {width:,} do not fit into the memory")
            matrix = np.empty((len(names), width), dtype=np.float32)
            ends = np.cumsum([len(part.sample_ids) for part in parts])
            rows = np.split(places, ends[:-1])
            for _ in pool.map(lambda part, to: _fill(lake, part, matrix, to, name), parts, rows):
                pass
    except (OSError, pa.ArrowException, LookupError, ValueError, TypeError) as error:
        said = ascii(str(error))[1:-1]  # which may hold bytes of a damaged shard
        raise LayerhouseError(
            f"cannot read {name}: {said}; `layerhouse status --verify` finds damaged shards"
        ) from error
    return [names[index] for index in order], matrix


def _find(lake: Lake, path: str, asked: Mapping[str, int | str]) -> _Found:
    """What the shard holds of the locus; decodes none of its vectors."""
    with open_shard(lake, path) as file:
        about = file.metadata
        columns = {about.schema.column(i).path: i for i in range(about.num_columns)}
        groups = [
            group
            for group in range(about.num_row_groups)
            if all(
                _may_hold(about.row_group(group).column(columns[key]).statistics, value)
                for key, value in asked.items()
            )
        ]
        check_shard_unpacked(unpacked(about, groups))
        columns_read = [*asked, "sample_id"]
        held = spelt_out(file.read_row_groups(groups, columns_read, use_threads=False))
    wanted = reduce(pc.and_, (pc.equal(held[key], value) for key, value in asked.items()))
    widths = {
        about.row_group(group).column(columns[VALUES]).num_values / about.row_group(group).num_rows
        for group in groups
    }
    ids = held["sample_id"].filter(wanted).to_pylist()
    return _Found(path, groups, wanted.to_numpy(), ids, widths)


def _may_hold(span: pq.Statistics | None, value: int | str) -> bool:
    return span is None or not span.has_min_max or span.min <= value <= span.max


def _common_width(parts: Sequence[_Found], name: str) -> int:
    widths = {width for part in parts for width in part.widths}
    if len(widths) > 1:
        raise LayerhouseError(_uneven(name))
    return int(widths.pop())


def _uneven(name: str) -> str:
    return f"{name} holds vectors of different widths"


def _fill(lake: Lake, part: _Found, matrix: Matrix, rows: npt.NDArray[np.int64], name: str) -> None:
    """Decode the shard's vectors into these rows of the matrix."""
    source = lake.store.open(part.path)
    with pq.ParquetFile(source, page_checksum_verification=True) as file:
        vectors = file.read_row_groups(part.groups, columns=["vector"], use_threads=False)["vector"]
    wanted = vectors if part.wanted.all() else vectors.filter(pa.array(part.wanted))
    start = 0
    for chunk in wanted.chunks:
        if (np.diff(chunk.offsets.to_numpy()) != matrix.shape[1]).any():
            raise LayerhouseError(_uneven(name))
        values = chunk.flatten().to_numpy(zero_copy_only=False)
        matrix[rows[start : start + len(chunk)]] = values.reshape(len(chunk), -1)
        start += len(chunk)
