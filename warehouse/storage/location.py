"""Which place a path or URL means, and the store of the lake that lies there."""

from __future__ import annotations

import os
import re
from hashlib import blake2b
from pathlib import Path
from urllib.parse import unquote, urlsplit

from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.storage.bucket import Bucket
from warehouse.storage.folder import Folder
from warehouse.storage.objects import SCHEMES
from warehouse.storage.store import Store

CACHE = "LAYERHOUSE_CACHE"

_MISREAD = re.compile(r"[*?\\]|(?:^|/)(?:model|dataset|module)=")


def located(text: str) -> tuple[Path, str | None]:
    """The absolute folder that a path or URL means on this machine, and the URL if of a bucket.

    Raises UsageError for a path that DuckDB would not take by its letters, for a URL of a scheme
    that holds no lakes, and for one without a bucket.
    """
    if "://" not in text:
        return _absolute(text), None
    parts = urlsplit(text)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path:
            raise UsageError(f"{text} names no folder of this machine; write file:///path/to/lake")
        return _absolute(unquote(parts.path)), None
    if parts.scheme not in SCHEMES:
        known = ["s3", "gs", "file"]
        raise UsageError(f"a lake cannot lie at {text}{nearest(parts.scheme, known)}")
    if parts.scheme != "memory" and not parts.netloc:
        raise UsageError(f"{text} names no bucket; write {parts.scheme}://bucket/prefix")
    url = _readable(text.rstrip("/"))
    return mirror_folder(url), url


def store_at(root: Path, url: str | None) -> Store:
    return Folder(root) if url is None else Bucket(root, url)


def mirror_folder(url: str) -> Path:
    """Where this machine keeps the catalogue and copies of a bucket's small files."""
    return cache_folder() / "lakes" / blake2b(url.encode(), digest_size=12).hexdigest()


def cache_folder() -> Path:
    """$LAYERHOUSE_CACHE, else $XDG_CACHE_HOME/layerhouse, else ~/.cache/layerhouse.

    Everything in it can be deleted while nothing runs.
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get(CACHE) or Path(base, "layerhouse")).expanduser().resolve()


def _absolute(path: str) -> Path:
    # Other than Path.resolve, which newer Pythons say nothing of, this leaves a loop where it is.
    whole = Path(os.path.realpath(Path(path).expanduser()))
    if whole.is_symlink():
        raise LayerhouseError(f"'{whole}' is a link that leads back to itself")
    return Path(_readable(str(whole)))


def _readable(text: str) -> str:
    if _MISREAD.search(text):
        raise UsageError(
            f"a lake cannot lie at {text}: DuckDB reads *, ? and \\ in a path as wildcards and "
            "a folder named model=…, dataset=… or module=… as a partition"
        )
    return text
