"""Answers of a lake beyond those of its own runs: brought from other harnesses, written out, and
read anew as the rules of reading improve, or by a model that judges."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
