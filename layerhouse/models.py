"""The models of a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerhouse.functions import Place, lake_at

if TYPE_CHECKING:
    from warehouse.lake import Removal

__all__ = ["remove"]


def remove(
    model: str, *, with_dependents: bool = False, dry_run: bool = False, lake: Place = None
) -> Removal:
    """Take a model out of the lake, with all that was extracted from it and found out about it.

    Comparisons of others with it go too `with_dependents`, and are refused otherwise; its variants
    are models of their own and stay. With `dry_run` nothing is done and what would be is returned.
    """
    from warehouse.lake import remove as take_out

    return take_out(lake_at(lake), "model", model, with_dependents=with_dependents, dry_run=dry_run)
