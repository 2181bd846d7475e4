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
    process, however it ends; in a bucket it holds between those of one machine only. Gives the
    commits that there are by then, for RunWriter.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(lake.lock_file(command, *names)))
        except OSError as error:
            raise LayerhouseError(f"cannot write to the lake {lake}: {error.strerror}") from error
        yield frozenset(lake.store.commit_names())
