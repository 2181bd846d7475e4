"""The read-only door to a lake's catalogue."""

import re
from collections.abc import Iterator
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import duckdb

from warehouse.catalogue.definitions import references
from warehouse.catalogue.rows import Rows, stoppable
from warehouse.catalogue.spilling import spill_folder
from warehouse.catalogue.touched import refuse_unsound_for
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.lake import Lake
from warehouse.schema import BOOKKEEPING, quoted, tables
from warehouse.storage import Shard

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
            relation = stoppable(self._con, lambda: self._con.sql(query, params=params))
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
        from warehouse.lake import hive_folder, mark_of, read_locus, refuse_unsound

        values = {"model": model, "dataset": dataset, "module": module}
        folder = hive_folder("activation", values)
        found = self._con.execute(_SHARDS, [f"{folder}/"]).fetchall()
        shards = [Shard("activation", *row) for row in found]
        refuse_unsound(self.lake, shards)
        paths = [shard.path for shard in shards]
        name = (
            f"the activations of {model} on {dataset} at {module} layer {layer}, readout {readout}"
        )
        sample_ids, matrix = read_locus(self.lake, paths, layer, readout, name)
        gone = self._con.execute(_REMOVED, [dataset]).fetchall()
        if not gone:
            return sample_ids, matrix
        marks = {mark for (mark,) in gone}
        kept = [at for at, one in enumerate(sample_ids) if mark_of(one) not in marks]
        return [sample_ids[at] for at in kept], matrix[kept]

    def _missing_activations(
        self, model: str, dataset: str, module: str, layer: int, readout: str
    ) -> str:
        wanted = f"{model} on {dataset} at {module} layer {layer}, readout {readout}"
        rows = self.sql("SELECT DISTINCT model_id FROM commit_record WHERE command = 'extract'")
        held = [model_id for (model_id,) in rows.fetchall()]
        hint = nearest(model, held) if model not in held else "; `layerhouse extract` adds them"
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
WHERE table_name = 'activation' AND starts_with(path, $1) ORDER BY path
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
    lock_down(con, f"{lake}/activation")
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
        set_activation_shards(con, lake)
    except BaseException:
        con.close()
        raise
    return con


def set_activation_shards(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Tell the view `activation` where the committed shards lie now, and what it leaves out.

    The catalogue holds paths relative to the lake, so that a moved lake keeps working. Those of a
    bucket are read there, range by range.
    """
    place = lake.store.scanned_by(con)
    con.execute(
        "SET VARIABLE activation_shards = "
        "(SELECT list(? || path ORDER BY path) FROM shard WHERE table_name = 'activation')",
        [place],
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


def refuse_writes(query: str) -> None:
    """Raise LayerhouseError unless `query` is one single statement that only reads."""
    statements = duckdb.extract_statements(query)
    if not statements:
        raise LayerhouseError("the query is empty")
    if len(statements) > 1:
        raise LayerhouseError("only one statement at a time; send the others separately")
    kind = _kind(statements[0])
    if kind == "SELECT":
        return
    tokens = _tokens(query)
    word = tokens[0].upper()
    if kind == "EXPLAIN":
        # EXPLAIN ANALYZE runs what it explains, so that has to be harmless as well.
        if not any(_is_select(" ".join(rest)) for rest in _explained(tokens[1:])):
            raise LayerhouseError("EXPLAIN is answered for SELECT only")
        return
    if kind == "MULTI":
        raise LayerhouseError(f"{word} needs its values listed here: … ON column IN (value, …)")
    raise LayerhouseError(
        f"{word} is refused: the lake is read-only here and answers SELECT, FROM, VALUES, "
        "DESCRIBE, SHOW, SUMMARIZE and EXPLAIN"
    )


def _tokens(query: str) -> list[str]:
    """The query's words as DuckDB itself cuts them, without comments (which may be nested)."""
    text = query.encode()
    found = duckdb.tokenize(query)
    ends = [*(start for start, _ in found[1:]), len(text)]
    return [
        text[start:end].decode().strip()
        for (start, kind), end in zip(found, ends, strict=True)
        if kind != duckdb.token_type.comment
    ]


def _explained(tokens: list[str]) -> Iterator[list[str]]:
    """What an EXPLAIN may be about: the words after ANALYZE, or after options in brackets."""
    rest = tokens[1:] if tokens[0].upper() == "ANALYZE" else tokens
    yield rest
    if rest[0] == "(" and ")" in rest:
        yield rest[rest.index(")") + 1 :]


def _is_select(query: str) -> bool:
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error:
        return False
    return [_kind(statement) for statement in statements] == ["SELECT"]


def _kind(statement: duckdb.Statement) -> str:
    """The statement's kind; some that DuckDB parses (UPDATE EXTENSIONS) have no name in Python."""
    try:
        return str(statement.type.name)
    except ValueError:
        return "OTHER"
