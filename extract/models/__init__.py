"""From a name, a folder or a hub id to a loaded model with its processor and its question.

`sources` finds the files, `devices` and `placement` say where they go, `weights` and `processors`
read them, `loading` puts them together, and a `session` is a loaded model with one question.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
