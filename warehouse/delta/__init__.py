"""The tables of a lake as Delta tables: logs over the committed shards, for readers of that format.
They are derived, as the catalogue is, and may be deleted at any time."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
