"""Training of the tiny models that Layerhouse ships and tests itself on; `tiny` is the command."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
