"""Files that Pillow reads and does not write."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}


def png16(path: Path, pixels: np.ndarray, key: tuple[int, ...] = ()) -> str:
    """A PNG of 16 bits a channel, [h, w] or [h, w, 2 to 4]; `key` is its transparent colour."""
    n_channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    height, width = pixels.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPE[n_channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    if key:
        parts.insert(1, (b"tRNS", struct.pack(f">{len(key)}H", *key)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts))
    return str(path)


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum
