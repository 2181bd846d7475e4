"""Python's collector of rubbish, kept from where there is none to find.

It comes after so many new objects and looks through old ones too; importing torch and transformers
makes a million that all stay.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_nothing() -> Iterator[None]:
    """For imports and loading, where nothing becomes rubbish: a sixth of the time it takes."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()  # all are old now, and looked through as seldom as those
        if was_on:
            gc.enable()
