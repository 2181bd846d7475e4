"""Where a lake's files lie: in a folder, or in a bucket of which a machine keeps what is small."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
