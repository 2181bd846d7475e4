"""Where to look in a model: its loci, and which rows of them belong to which sample."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
