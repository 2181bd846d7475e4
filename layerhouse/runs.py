"""Runs: what every command did to a lake, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerhouse.functions import Place, lake_at

if TYPE_CHECKING:
    from warehouse.lake import Removal

__all__ = ["remove"]


def remove(
    run: str, *, with_dependents: bool = False, dry_run: bool = False, lake: Place = None
) -> Removal:
    """Take one run's rows out of the lake; the same command does it anew.

    What was made from its rows goes with it `with_dependents`, and is refused otherwise. With
    `dry_run` nothing is done and what would be is returned.
    """
    from warehouse.lake import remove as take_out

    return take_out(lake_at(lake), "run", run, with_dependents=with_dependents, dry_run=dry_run)
