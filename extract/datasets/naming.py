"""Naming: whether there is a dataset behind what a person typed, before anything is read of it.

Imports little, so that a misspelt name is told at once.
"""

from collections.abc import Iterable

from warehouse.errors import UsageError, nearest
from warehouse.lake import Lake, list_commits

COMMAND = "datasets-add"
"""The command by which datasets are registered."""


def refuse_unknown_dataset(lake: Lake, name_or_path: str) -> None:
    """Raise UsageError for what `resolve` would find no dataset behind; nothing is registered."""
    commits = list_commits(lake, command=COMMAND)
    known = {commit.dataset_id for commit in commits if "fingerprint" in commit.covers} - {None}
    if name_or_path in known:
        return
    from extract.datasets.reading import is_source

    if not is_source(name_or_path):
        raise unknown_dataset(name_or_path, [name for name in known if name is not None])


def unknown_dataset(typed: str, known: Iterable[str]) -> UsageError:
    from extract.datasets.reading import offered

    return UsageError(f"no dataset is called {typed!r}{nearest(typed, {*known, *offered()})}")
