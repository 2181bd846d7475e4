"""Studies: models × datasets × variants from one file, as commands that are run where they lack.

A study is its commands: each is one that a person could give, is checked as the command line checks
it before anything is run, and does nothing where it is done already.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
