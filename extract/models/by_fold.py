"""Folders of repairs: that one is as it was trained, and that of one for each fold of a dataset, of
which none saw what it answers."""

from pathlib import Path

from extract.models.fingerprints import fingerprint_weights
from extract.models.folders import ADAPTER_CONFIG, MEND_RECORD, is_answer_part
from warehouse.errors import LayerhouseError
from warehouse.untrusted import read_object


def fold_folder(fold: int | str) -> str:
    """The name of the folder that holds the repair of a fold."""
    return f"fold-{fold}"


def fold_repairs(folder: Path) -> tuple[Path | None, ...]:
    """Where the repair of every fold lies, None for a fold whose training found none that helps;
    nothing for an adapter that is one for all samples. LayerhouseError where one is not there.
    """
    if not (folder / MEND_RECORD).is_file():
        return ()
    named = read_object(folder / MEND_RECORD).get("folds", [])
    if not isinstance(named, list) or any(
        name not in (None, fold_folder(fold)) for fold, name in enumerate(named)
    ):
        raise LayerhouseError(f"{folder / MEND_RECORD} names no repair for each fold; mend it anew")
    for name in filter(None, named):
        if not (folder / name / MEND_RECORD).is_file():
            raise LayerhouseError(
                f"{folder} lacks {name}, or its {MEND_RECORD}, which the {MEND_RECORD} of all "
                f"folds names; bring it back, or take away {folder / MEND_RECORD} and what is left "
                f"of {name}, and give the same `layerhouse mend` again: it trains that fold alone"
            )
    return tuple(name and folder / name for name in named)


def repair_fingerprint(folder: Path) -> str:
    """Identity of what a repair's folder holds of it: its weights and its configuration."""
    return fingerprint_weights(folder, None if is_answer_part(folder) else ADAPTER_CONFIG)


def refuse_changed_repair(folder: Path) -> None:
    """LayerhouseError for a repair whose files are not those that its record was written for; the
    records of earlier versions do not tell."""
    told = read_object(folder / MEND_RECORD).get("fingerprint")
    if told is not None and told != repair_fingerprint(folder):
        raise LayerhouseError(
            f"the repair in {folder} was changed since it was trained: its weights or "
            f"configuration are not those that its {MEND_RECORD} tells of; mend it anew in another "
            "folder"
        )
