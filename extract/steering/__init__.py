"""Steering: a class is written into a model's states, along a direction. Does its answer follow?
Its door offers `steer` and its dry run."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
