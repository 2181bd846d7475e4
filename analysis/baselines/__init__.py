"""Baselines: traditional image classifiers trained on the same split; what the task allows."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
