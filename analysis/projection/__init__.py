"""The vectors of one place laid out on a plane, to be looked at: descriptions, no evidence."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
