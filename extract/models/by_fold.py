"""A repair by folds: one for each fold of a dataset, of which none saw what it answers."""

from pathlib import Path

from extract.models.folders import MEND_RECORD
from warehouse.errors import LayerhouseError
from warehouse.pretrained import read_object


def fold_folder(fold: int | str) -> str:
    """The name of the folder that holds the repair of a fold."""
    return f"fold-{fold}"


def fold_repairs(folder: Path) -> tuple[Path | None, ...]:
    """Where the repair of every fold lies, None for a fold whose training found none that helps;
    nothing for an adapter that is one for all samples.
    """
    if not (folder / MEND_RECORD).is_file():
        return ()
    named = read_object(folder / MEND_RECORD).get("folds", [])
    if not isinstance(named, list) or any(
        name not in (None, fold_folder(fold)) for fold, name in enumerate(named)
    ):
        raise LayerhouseError(f"{folder / MEND_RECORD} names no repair for each fold; mend it anew")
    return tuple(name and folder / name for name in named)
