"""Faults: known damage done to a healthy model, to see whether the diagnosis finds it.

`kinds/` has one file per kind; the door offers their base classes, `parse_fault`, and what puts
faults into a running model.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
