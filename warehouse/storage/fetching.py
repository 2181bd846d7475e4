"""Shards of a lake in a bucket, copied to where this machine keeps what is small of it."""

import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from warehouse.errors import LayerhouseError
from warehouse.files import TEMPORARY, make_folder, put_in_place
from warehouse.storage.objects import AT_ONCE, Objects
from warehouse.storage.store import Shard


def fetch(root: Path, objects: Objects, shards: Iterable[Shard]) -> None:
    """Copy shards into the mirror, their checksums compared; those that are there stay.

    Raises LayerhouseError for one that is missing or damaged.
    """
    wanted = [shard for shard in shards if not _has(root, shard)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda shard: _fetch(root, objects, shard), wanted))


def damaged(shard: Shard, url: str) -> LayerhouseError:
    return LayerhouseError(
        f"the shard {shard.path} is missing or damaged in {url}; run `layerhouse "
        "status --repair` and then the command that made it again"
    )


def _has(root: Path, shard: Shard) -> bool:
    try:
        return (root / shard.path).stat().st_size == shard.bytes
    except FileNotFoundError:
        return False


def _fetch(root: Path, objects: Objects, shard: Shard) -> None:
    path = root / shard.path
    make_folder(path.parent)
    temporary = path.with_name(f"{path.name}-{uuid.uuid4().hex}{TEMPORARY}")
    try:
        found = objects.download(shard.path, temporary)
    except FileNotFoundError:
        found = ""
    if found != shard.checksum:
        temporary.unlink(missing_ok=True)
        raise damaged(shard, objects.url)
    put_in_place(temporary, path)
