"""Who does which part of an extraction: the job, what is done of it, and what is claimed."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
