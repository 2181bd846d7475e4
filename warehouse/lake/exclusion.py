"""One writer at a time for work whose rows must not be added twice."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from warehouse.errors import LayerhouseError
from warehouse.files import file_lock
from warehouse.lake.lake import Lake


@contextmanager
def exclusive(lake: Lake, command: str, *names: str) -> Iterator[frozenset[str]]:
    """Hold the lake's lock for a command on what is so named, waiting for whoever has it.

    Two processes that fit the same probes would otherwise both add them. The lock ends with the
    process, however it ends. Gives the commits that the lock did not keep others from, for
    RunWriter: in a bucket it holds between the processes of one machine only.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(lake.lock_file(command, *names)))
        except OSError as error:
            raise LayerhouseError(f"cannot write to the lake {lake}: {error.strerror}") from error
        yield lake.store.rivals()
