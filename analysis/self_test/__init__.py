"""What the diagnosis says of models with known faults, judged by the SQL that judges a lake."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
