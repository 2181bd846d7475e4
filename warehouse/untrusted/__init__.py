"""What files may say that anybody may have written: JSON, field by field, and folders of weights.

A lake, a published folder and a model's folder come from strangers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
