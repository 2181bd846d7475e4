"""The catalogue: the DuckDB file built from a lake's shards, and the read-only door to it."""
