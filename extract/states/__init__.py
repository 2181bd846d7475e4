"""States that come and go as files: activations written out for other programs, and those of other
programs brought into a lake."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
