"""The functions of `import layerhouse`, by what they need: a model, what was extracted, a lake."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
