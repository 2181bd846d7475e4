"""The catalogue: the DuckDB file built from a lake's shards, and the read-only door to it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
