"""Labelled images from any usual source, registered in the lake once and read from there.

`add` reads a source, checks it whole, and writes one committed run. `resolve` turns what a person
typed, a name or a path, into the id of a registered dataset. `sources/` has one file per kind of
source, `reading` finds the one that recognises a thing; what is asked of the data stands in
`pixels`, `labels`, `splits` and `groups`, put together by `checking`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
