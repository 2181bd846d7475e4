"""What commands print: tables and rows in the form that was asked for; no orders to a terminal."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
