"""Batch sizes, as a person writes them."""

from warehouse.errors import UsageError


def batch_size_of(given: str | int) -> int | None:
    """The batch size asked for, None for auto; UsageError for what is no size."""
    if given == "auto":
        return None
    try:
        size = int(given)
    except ValueError:
        size = 0
    if size < 1:
        raise UsageError(f"the batch size must be auto or at least 1, not {given!r}")
    return size
