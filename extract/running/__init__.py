"""One extraction at work: a model opened and checked, batches prepared and run, ranges written.
Its door offers `extract`, the dry run, the self-test's bench, and the pieces that engines share."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
