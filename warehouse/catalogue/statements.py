"""Statements of SQL: which of them only read."""

from collections.abc import Iterator

import duckdb

from warehouse.errors import LayerhouseError


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
