"""The lake: immutable shards, the commit records that show them, the runs that write both."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
