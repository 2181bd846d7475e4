"""The self-test of the diagnosis: which trials it makes, and what the diagnosis says of each."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
