"""What is wrong with a set of images before a model sees it: `layerhouse datasets audit`.

`pictures` reads every image once and keeps a small grey one and a few facts; `hashing` and
`duplicates` find images that are nearly the same without comparing all with all; `shortcuts` asks
how well each fact alone reads the class; `auditing` stores it, `findings` says it in sentences.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
