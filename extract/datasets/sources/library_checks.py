"""What the `datasets` library cannot load, or loads in part, told so that one knows why."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from extract.datasets.sources.folder import IMAGE_SUFFIXES
from extract.datasets.sources.hints import ADD, card_head
from extract.datasets.walking import files_below
from warehouse.errors import LayerhouseError


def refuse_empty_files(folder: Path | None) -> None:
    """LayerhouseError for Parquet files without a row, of which the library says nothing clear."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in sorted(folder.rglob("*.parquet")) if folder else ():
        try:
            n_rows = pq.read_metadata(path).num_rows
        except (OSError, pa.ArrowException):
            continue  # the library has said what is wrong
        if n_rows == 0:
            raise LayerhouseError(
                f"{path} holds no rows, which cannot be loaded; take it out of the folder"
            )


def refuse_unnamed(typed: str, folder: Path | None, said: str) -> None:
    """LayerhouseError with the configurations where a dataset has several and none was named."""
    listed = re.search(r"available configs: \[(.*)\]", said)
    names = re.findall(r"'([^']+)'", listed[1]) if listed else []
    if not names:
        return
    way_out = f"write which, as in {typed}/{names[0]}"
    if folder is not None and not Path(folder, names[0]).is_dir():
        way_out = "datasets.load_dataset(FOLDER, NAME).save_to_disk(…) makes a folder of one"
    raise LayerhouseError(
        f"{typed} has several configurations, {', '.join(names)}, and a dataset is one; {way_out}"
    )


def refuse_unread(folder: Path | None, loaded: Any) -> None:
    """LayerhouseError where the library took some of a folder's images alone.

    Where a file's name holds `train` or `test`, it takes that for the file's split, and leaves out
    all whose names hold none; so it does with images that a metadata.csv does not list.
    """
    parts = list(loaded.values()) if isinstance(loaded, dict) else [loaded]
    if folder is None or any(part.info.builder_name != "imagefolder" for part in parts):
        return
    if re.search(r"^configs:", card_head(folder), re.MULTILINE):  # it says which files are meant
        return
    n_read = sum(map(len, parts))
    n = sum(path.suffix.lower() in IMAGE_SUFFIXES for path in files_below(folder, set()))
    if n_read < n:
        raise LayerhouseError(
            f"of the {n:,} images below {folder} the datasets library takes {n_read:,}: it leaves "
            "out what metadata.csv does not list, and takes train and test in names of files for "
            f"splits; {ADD} {shlex.quote(str(folder))} reads folders of classes whole, and {ADD} "
            "TABLE.csv a table of all images"
        )
