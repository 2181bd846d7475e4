"""What is in a lake, what is incomplete, and what to run next: `layerhouse status`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
