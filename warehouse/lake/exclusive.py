"""One writer at a time for work whose rows must not be added twice."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake
from warehouse.lake.runs import commits_in_bucket


@contextmanager
def exclusive(lake: Lake, *names: str) -> Iterator[frozenset[str]]:
    """Hold the lake's lock called `names`, waiting for another process that has it.

    Two processes that fit the same probes would otherwise both add them. The lock ends with the
    process, however it ends. Gives the commits that a bucket has now, for RunWriter: there the lock
    holds between the processes of one machine only.
    """
    mark = blake2b("\0".join(names).encode(), digest_size=6).hexdigest()
    path = lake.create().commits_dir / f"{names[0]}-{mark}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise LayerhouseError(f"cannot write to the lake {lake}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield commits_in_bucket(lake)
    finally:
        os.close(descriptor)
