"""What the functions of `import layerhouse` take, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from warehouse.errors import LayerhouseError, nearest
from warehouse.lake import Lake

Place = str | PathLike[str] | Lake | None
"""Where a lake lies: a folder, a URL (s3://…, gs://…), or `$LAYERHOUSE_LAKE` or `./lakehouse`."""
Several = str | Sequence[str]
"""One word or several: what may be given repeatedly on the command line."""
Item = TypeVar("Item", bound=str | int)


def lake_at(place: Place) -> Lake:
    return place if isinstance(place, Lake) else Lake.at(place)


def dataset_id(name: str | PathLike[str]) -> str:
    """The id a dataset has in the lake, from what `extract` was given."""
    if not Path(name).exists():
        return str(name)
    from extract.datasets import default_name

    return default_name(str(name))


def several(given: Item | Sequence[Item] | None) -> tuple[Item, ...]:
    """What may be one or several, as several."""
    if given is None:
        return ()
    return (given,) if isinstance(given, str | int) else tuple(given)


def refuse_rejected(rejected: Mapping[str, str], skip_bad: bool | None) -> None:
    """LayerhouseError where samples could not be used, unless that is accepted."""
    if rejected and not skip_bad:
        name, reason = next(iter(rejected.items()))
        raise LayerhouseError(
            f"{len(rejected):,} samples were rejected, first {name}: {reason}; all others "
            "are in the lake, skip_bad (--skip-bad) accepts that"
        )


def known_options(function: str, options: Mapping[str, Any], known: type[Any]) -> dict[str, Any]:
    """The options, once each is known to be one."""
    for name in options:
        if name not in known.__annotations__:
            raise TypeError(
                f"{function}() takes no option {name!r}{nearest(name, known.__annotations__)}"
            )
    return dict(options)
