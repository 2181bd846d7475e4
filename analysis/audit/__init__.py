"""What is wrong with a set of images before a model sees it: `layerhouse datasets audit`.

`pictures` reads every image once and keeps a small grey one and a few facts; `spectra` says what
of it is compared, `alignment` lays one over another, `duplicates` finds those that are nearly the
same; `shortcuts` asks how well each fact alone reads the class; `auditing` stores it, `findings`
says it in sentences.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
