"""Images that are items of something larger: built-in digits, NumPy archives, Arrow files."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse.errors import LayerhouseError
from warehouse.images.bounds import check_unpacked

if TYPE_CHECKING:
    import numpy as np

DIGITS_SCHEME = "sklearn-digits:"


def item_at(place: str) -> np.ndarray | bytes | None:
    """The pixels [h, w] or [h, w, 3], or the bytes of a file; None where `place` is a file's path.

    The digits come with their own range 0…16.
    """
    if place.startswith(DIGITS_SCHEME):
        return _pick(_digits()[0], place.removeprefix(DIGITS_SCHEME), place)
    path, _, item = place.rpartition("#")
    if path.endswith(".npz"):
        return _npz_item(path, item)
    if path.endswith(".arrow"):
        return _arrow_item(path, item)
    return None


def digit_arrays() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's handwritten digits: images uint8 [1797, 8, 8] with values 0…16, labels [1797].

    Read from the file scikit-learn ships, without importing scikit-learn. (Source: E. Alpaydin and
    C. Kaynak, Optical Recognition of Handwritten Digits, UCI 1998, test part.)
    """
    return _digits()


@lru_cache(maxsize=1)
def _digits() -> tuple[np.ndarray, np.ndarray]:
    import gzip
    from importlib.util import find_spec

    import numpy as np

    spec = find_spec("sklearn")  # finds a top-level package without running it
    if spec is None or not spec.submodule_search_locations:
        raise LayerhouseError("the digits come with scikit-learn, which is not installed")
    path = Path(spec.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    with gzip.open(path, "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.float64).astype(np.uint8)
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1]


def _pick(items: Any, index: str, place: str) -> Any:
    if not index.isdigit() or int(index) >= len(items):
        raise LayerhouseError(f"{place} points outside its {len(items):,} images")
    return items[int(index)]


def array_facts(archive: Any, key: str, path: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and type of an array of an open NumPy archive, before any of it is unpacked.

    Raises LayerhouseError where it is not there, is of another length than it says, or would not
    fit into memory, ValueError where it is no array without a pickle.
    """
    import numpy as np

    if key not in archive:
        raise LayerhouseError(f"{path} has no array {key}; it has {', '.join(archive.files)}")
    names = archive.zip.namelist()
    member = archive.zip.getinfo(f"{key}.npy" if f"{key}.npy" in names else key)
    with archive.zip.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"it is of the unknown version {version}")
        first = version == (1, 0)
        read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        if dtype.hasobject:
            raise ValueError("it holds objects, which only a pickle holds")
        needed, held = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
    if needed != held:
        raise LayerhouseError(
            f"{path} is damaged: its {key} says {needed:,} bytes and holds {held:,}; fetch it again"
        )
    check_unpacked(f"{key} of {path}", needed, part=1)
    return tuple(shape), dtype


@lru_cache(maxsize=6)
def _npz_array(path: str, key: str, _modified: float) -> np.ndarray:
    import numpy as np

    with np.load(path, allow_pickle=False) as archive:
        array_facts(archive, key, path)
        return archive[key]


def _npz_item(path: str, item: str) -> np.ndarray:
    key, _, index = item.rpartition("/")
    # the modification time in the cache key drops an array whose file was replaced
    array = _npz_array(path, key, Path(path).stat().st_mtime)
    found: np.ndarray = _pick(array, index, f"{path}#{item}")
    return found


@lru_cache(maxsize=32)
def _arrow_column(path: str, column: str, _modified: float) -> Any:
    import pyarrow as pa

    with pa.memory_map(path) as source:
        return pa.ipc.open_stream(source).read_all().column(column)


def _arrow_item(path: str, item: str) -> bytes:
    column, _, index = item.rpartition("/")
    cells = _arrow_column(path, column, Path(path).stat().st_mtime)
    held = _pick(cells, index, f"{path}#{item}").as_py()
    found: bytes | None = held.get("bytes") if isinstance(held, dict) else held
    if not found:
        raise LayerhouseError(f"{path}#{item} holds no image")
    return found
