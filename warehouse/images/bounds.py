"""How much of a compressed file may be unpacked: no more than there is memory for."""

from __future__ import annotations

import io
import zlib
from contextlib import suppress

from warehouse.errors import LayerhouseError
from warehouse.untrusted import memory

OF_VOLUMES = 4
"""A volume or a data set gets this part of the memory: several are read at once."""

_PIECE = 2**24
_GIB = 2**30


def check_unpacked(name: str, n_bytes: int, part: int = OF_VOLUMES) -> None:
    """LayerhouseError for what unpacked takes more than one `part`-th of the memory."""
    if n_bytes > memory() // part:
        share = "memory" if part == 1 else f"memory, of which one in {part} may be so used"
        raise LayerhouseError(
            f"{name} holds {n_bytes / _GIB:,.1f} GiB once it is unpacked, and this machine has "
            f"{memory() / _GIB:,.1f} GiB of {share}; split it, or save its images as files of "
            "their own"
        )


class Watched(io.BufferedReader):
    """A file whose rest, once it is asked for at once, is no deflated stream without bounds.

    That is how pydicom reads a data set that is deflated as a whole.
    """

    def __init__(self, raw: io.RawIOBase | io.BytesIO, title: str) -> None:
        super().__init__(raw)
        self._title = title

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        if size is None or size < 0:
            with suppress(zlib.error):  # it is no deflated one
                self._check(found)
        return found

    def _check(self, deflated: bytes) -> None:
        stream, held, left = zlib.decompressobj(-zlib.MAX_WBITS), 0, deflated
        while left and not stream.eof:
            held += len(stream.decompress(left, _PIECE))
            check_unpacked(self._title, held)
            left = stream.unconsumed_tail
