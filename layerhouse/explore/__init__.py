"""`layerhouse explore`: a lake or a published file as pages in a browser on this machine."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
