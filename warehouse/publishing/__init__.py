"""The marts as files for BI tools, stamped with the state of the lake they show."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
