"""How the shards of a bucket are read: the bytes that are asked for, and few more."""

from __future__ import annotations

import io
from datetime import datetime
from functools import lru_cache
from typing import Any

import fsspec

from warehouse.storage.objects import Objects, objects_at

BLOCK = 32 * 2**10
"""Smaller reads fetch this much: the short columns of a row group come with one request."""

TAIL = 64 * 2**10
TAILS = 512
"""Footers that a process keeps, of at most TAIL bytes: shards never change."""


class ByteRanges(fsspec.AbstractFileSystem):
    """The objects of one lake, read-only; a path is a whole URL. A file system for DuckDB.

    The general ones fetch far more around every read: to look at one locus, all of a shard.
    """

    cachable = False

    def __init__(self, objects: Objects) -> None:
        super().__init__()
        self.objects = objects
        self.protocol = objects.url.partition("://")[0]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path

    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> list[str]:
        """Only names taken by their letters are ever read here."""
        return [path]

    def exists(self, path: str, **kwargs: Any) -> bool:
        return True

    def isfile(self, path: str) -> bool:
        return True

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        return {"name": path, "size": _tail(self.objects.url, self._key(path))[1], "type": "file"}

    def modified(self, path: str) -> datetime:
        """The same for all: an object of a lake is never written twice."""
        return datetime(2000, 1, 1)

    def _key(self, path: str) -> str:
        return path.removeprefix(f"{self.objects.url}/")

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> ObjectReader:
        if mode != "rb":
            raise PermissionError(f"{path} is only ever read here")
        return ObjectReader(self.objects, self._key(path))


class ObjectReader(io.RawIOBase):
    """One open object: the end of it is known, and the block that was read last.

    DuckDB and pyarrow read it like a file. Raises FileNotFoundError where there is none.
    """

    def __init__(self, objects: Objects, key: str) -> None:
        self._objects, self._key = objects, key
        end, self.size = _tail(objects.url, key)
        self._pieces = [(self.size - len(end), end), (0, b"")]
        self._at = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, n: int = -1) -> bytes:
        stop = self.size if n < 0 else min(self.size, self._at + n)
        start, self._at = self._at, max(stop, self._at)
        if stop <= start:
            return b""
        for first, held in self._pieces:
            if first <= start and stop <= first + len(held):
                return held[start - first : stop - first]
        if stop - start >= BLOCK:
            return self._objects.span(self._key, start, stop)
        held = self._objects.span(self._key, start, min(start + BLOCK, self.size))
        self._pieces[1] = (start, held)
        return held[: stop - start]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


@lru_cache(maxsize=TAILS)
def _tail(url: str, key: str) -> tuple[bytes, int]:
    return objects_at(url).tail(key, TAIL)
