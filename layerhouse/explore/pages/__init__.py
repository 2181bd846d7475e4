"""The pages, one module each: from a visit to what its template is filled with."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
