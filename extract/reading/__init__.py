"""What is read from a locus: readouts, which of them are wanted, and the logit lens over them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
