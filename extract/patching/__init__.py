"""Patching: the states of a donor in the place of a receiver's, and what the receiver answers then.
Its door offers `patch`, its dry run, and the bars of its own trustworthiness."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
