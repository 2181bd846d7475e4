"""The read-only door to a lake's catalogue."""

import re
from contextlib import suppress
from functools import cache, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import duckdb

from warehouse.catalogue.definitions import references
from warehouse.catalogue.rows import Rows, stoppable
from warehouse.catalogue.spilling import spill_folder
from warehouse.catalogue.statements import refuse_writes
from warehouse.catalogue.touched import refuse_unsound_for
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.lake import Lake
from warehouse.schema import BOOKKEEPING, quoted, tables
from warehouse.storage import Shard
from warehouse.variants import making
from warehouse.vocabulary import VECTOR_TABLES

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


class Catalogue:
    """Tables and views that are only read, through a connection that this closes."""

    def __init__(self, con: duckdb.DuckDBPyConnection, timeout: float | None = None) -> None:
        self._con, self._timeout = con, timeout

    def sql(self, query: str, params: Any = None) -> Rows:
        """The query's rows (`.pl()`, `.df()`, `.fetchall()`, and what else of a DuckDB relation
        reads). Ctrl-C stops it, and so does the time that a query may take.

        Raises LayerhouseError, with DuckDB's own pointer into the query, for SQL that does not
        parse or bind, and for everything but one single reading statement.
        """
        try:
            refuse_writes(query)
            bound = partial(self._con.sql, query, params=params)  # constants are computed by then
            relation = stoppable(self._con, bound, self._timeout)
        except duckdb.Error as error:
            raise LayerhouseError(self._explained(error, query, params)) from error
        return Rows(relation, self._con, self._timeout)

    def _explained(self, error: duckdb.Error, query: str, params: Any) -> str:
        """DuckDB's message with its pointer into the query, which relations leave out."""
        if isinstance(error, (duckdb.BinderException, duckdb.CatalogException)):
            try:
                self._con.execute(query, params)
            except duckdb.Error as same:
                error = same
            for name, reason in self.unbuilt():
                if re.search(rf"\b{re.escape(name)}\b", query):
                    return unbuilt_said(name, reason)
        return str(error).strip()

    def unbuilt(self) -> list[tuple[str, str]]:
        """The views and marts that were left out of the catalogue, each with the reason."""
        try:
            return self._con.execute(
                "SELECT name, reason FROM unbuilt_view ORDER BY ALL"
            ).fetchall()
        except duckdb.Error:  # a catalogue from a stranger
            return []

    def close(self) -> None:
        # A query that was stopped may not have ended yet; its connection goes when it does.
        with suppress(duckdb.ResourceInUseException):
            self._con.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Warehouse(Catalogue):
    """A lake opened for reading. Nothing sent through it can change the lake or leave it.

    Open one with `connect`, which brings the catalogue up to date first.
    """

    def __init__(
        self, lake: Lake, con: duckdb.DuckDBPyConnection, timeout: float | None = None
    ) -> None:
        self.lake = lake
        super().__init__(con, timeout)

    def sql(self, query: str, params: Any = None) -> Rows:
        """As any catalogue; of a query of vectors, which DuckDB reads without looking at their
        checksums, the shards that it may read are verified first, each once on a machine."""
        relation = super().sql(query, params)
        refuse_unsound_for(self.lake, self._con, query, params)
        return relation

    def activations(
        self, model: str, dataset: str, module: str, layer: int, readout: str
    ) -> "tuple[np.ndarray, pl.DataFrame]":
        """The vectors of one locus and readout, and the samples they belong to.

        Returns X, float32 [n samples, width], and a frame with n rows in the same order (by
        sample_id): sample_id, class_index, split, group_id, label. Raises UsageError when the lake
        holds no such activations.
        """
        import polars as pl

        sample_ids, matrix = self.vectors(model, dataset, module, layer, readout)
        if not sample_ids:
            raise UsageError(self._missing_activations(model, dataset, module, layer, readout))
        held = pl.DataFrame({"sample_id": sample_ids}).with_row_index()
        samples = held.join(self.sql(_SAMPLES, [dataset]).pl(), on="sample_id").sort("index")
        if len(samples) < len(held):  # samples that a damaged lake knows nothing of
            matrix = matrix[samples["index"].to_numpy()]
        return matrix, samples.drop("index")

    def vectors(
        self, model: str, dataset: str, module: str, layer: int, readout: str
    ) -> "tuple[list[str], np.ndarray]":
        """One locus' sample ids, sorted, and vectors float32 [n samples, width] of a readout.

        Both are empty where the lake holds none. Raises LayerhouseError for vectors of different
        widths and for a damaged shard.
        """
        from warehouse.lake import read_locus

        paths = self._sound_shards("activation", model, dataset, module)
        name = (
            f"the activations of {model} on {dataset} at {module} layer {layer}, readout {readout}"
        )
        return self._without_removed(dataset, *read_locus(self.lake, paths, layer, readout, name))

    def token_vectors(
        self, model: str, dataset: str, module: str, layer: int
    ) -> "tuple[list[str], np.ndarray]":
        """One locus' image tokens: of each the sample id, and the vectors float32 [n tokens,
        width], by sample id and within a sample in reading order.

        Both are empty where the lake holds none (`extract --readout tokens` keeps them). Raises
        LayerhouseError as `vectors`.
        """
        from warehouse.lake import read_tokens

        paths = self._sound_shards("token_activation", model, dataset, module)
        name = f"the image tokens of {model} on {dataset} at {module} layer {layer}"
        return self._without_removed(dataset, *read_tokens(self.lake, paths, layer, name))

    def _sound_shards(self, table: str, model: str, dataset: str, module: str) -> list[str]:
        """The paths of a table's shards of one module, which are verified."""
        from warehouse.lake import hive_folder, refuse_unsound

        folder = hive_folder(table, {"model": model, "dataset": dataset, "module": module})
        found = self._con.execute(_SHARDS, [table, f"{folder}/"]).fetchall()
        shards = [Shard(table, *row) for row in found]
        refuse_unsound(self.lake, shards)
        return [shard.path for shard in shards]

    def _without_removed(
        self, dataset: str, sample_ids: "list[str]", matrix: "np.ndarray"
    ) -> "tuple[list[str], np.ndarray]":
        """The same without the samples that were taken out of their dataset."""
        from warehouse.lake import mark_of

        marks = {mark for (mark,) in self._con.execute(_REMOVED, [dataset]).fetchall()}
        gone = {one for one in set(sample_ids) if mark_of(one) in marks} if marks else set()
        if not gone:
            return sample_ids, matrix
        kept = [at for at, one in enumerate(sample_ids) if one not in gone]
        return [sample_ids[at] for at in kept], matrix[kept]

    def _missing_activations(
        self, model: str, dataset: str, module: str, layer: int, readout: str
    ) -> str:
        wanted = f"{model} on {dataset} at {module} layer {layer}, readout {readout}"
        rows = self.sql("SELECT DISTINCT model_id FROM commit_record WHERE command = 'extract'")
        held = [model_id for (model_id,) in rows.fetchall()]
        way = f"; `layerhouse extract {making(model, dataset)}` adds them"
        hint = nearest(model, held) if model not in held else way
        return f"the lake holds no activations of {wanted}{hint}"


class Tables(Warehouse):
    """A lake's tables and its vectors. Other views may lag behind them here, so no query reads
    one."""

    def sql(self, query: str, params: Any = None) -> Rows:
        """As a warehouse; raises ValueError for a query of anything but tables."""
        others = references(query, "the query") - _asked_alone()
        if others:
            raise ValueError(f"{min(others)} is no table: `connect` shows views")
        return super().sql(query, params)


@cache
def _asked_alone() -> frozenset[str]:
    return frozenset(tables()) | BOOKKEEPING


_SAMPLES = """
SELECT sample_id, class_index, split, group_id, label
FROM sample LEFT JOIN class USING (dataset_id, class_index)
WHERE dataset_id = $1
"""
_REMOVED = "SELECT mark FROM removed_sample WHERE dataset_id = $1"
_SHARDS = """
SELECT path, n_rows, n_bytes, checksum FROM shard
WHERE table_name = $1 AND starts_with(path, $2) ORDER BY path
"""


def unbuilt_said(name: str, reason: str) -> str:
    return (
        f"{name} is left out of the catalogue, as it does not build from this lake's rows "
        f"({reason}); `layerhouse validate` names what is wrong with them, and `layerhouse runs "
        "remove` takes out the run that wrote it"
    )


def open_catalogue(lake: Lake, memory: str | None = None) -> duckdb.DuckDBPyConnection:
    """A read-only connection, locked down, that takes at most that much memory ("4GB").

    Raises duckdb.Error if that fails, UsageError for an amount that is none.
    """
    con = attach(lake)
    try:
        if memory is not None:
            con.execute("SET memory_limit = $memory", {"memory": memory})
    except duckdb.Error as error:
        con.close()
        raise UsageError(f"{memory} is no amount of memory; write it as 500MB or 4GB") from error
    lock_down(con, *(f"{lake}/{table}" for table in VECTOR_TABLES))
    return con


def attach(lake: Lake) -> duckdb.DuckDBPyConnection:
    """A read-only connection, before it is locked down. Raises duckdb.Error if that fails.

    The file is attached to a database in memory rather than opened: all connections of a process to
    one opened file share its settings, and go on seeing that file after another took its name.
    """
    con = open_blank()
    try:
        con.execute(f"ATTACH {quoted(str(lake.catalogue))} AS catalog (READ_ONLY); USE catalog")
        # Reading ahead fetches row groups that statistics would have ruled out: for one locus
        # four times its bytes, and no sooner.
        con.execute("SET disable_parquet_prefetching = true")
        set_vector_shards(con, lake)
    except BaseException:
        con.close()
        raise
    return con


def set_vector_shards(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Tell the views of vectors where the committed shards lie now, and what they leave out.

    The catalogue holds paths relative to the lake, so that a moved lake keeps working. Those of a
    bucket are read there, range by range.
    """
    place = lake.store.scanned_by(con)
    for table in VECTOR_TABLES:
        con.execute(
            f"SET VARIABLE {table}_shards = "
            "(SELECT list(? || path ORDER BY path) FROM shard WHERE table_name = ?)",
            [place, table],
        )
    con.execute(
        "SET VARIABLE removed_samples = "
        "(SELECT list(dataset_id || '/' || mark) FROM removed_sample)"
    )


NO_EXTENSIONS: dict[str, Any] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


def open_blank() -> duckdb.DuckDBPyConnection:
    """A connection to nothing yet, that loads no extension; what does not fit into memory goes to
    a folder of its own among the system's temporary files."""
    return duckdb.connect(config={**NO_EXTENSIONS, "temp_directory": spill_folder()})


def lock_down(con: duckdb.DuckDBPyConnection, *folders: str) -> None:
    """Let the connection reach these folders and nothing else, for good.

    A lake may come from a stranger, and with it its catalogue, whose views may ask for anything.
    """
    con.execute("SET allowed_directories = $folders", {"folders": list(folders)})
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
