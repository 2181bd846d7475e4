"""Probes: classifiers that tell how well the class can be read at a locus."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
