"""Mending: repairs of one stage of a model, trained on a dataset's train split, chosen on val.

`kinds/` has one file per repair; what a repair trained is saved as an adapter that `extract` takes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
