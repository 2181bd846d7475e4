"""A CSV or Parquet manifest: `image_path,label` and, where known, `split,group_id`.

Paths are relative to the manifest's own folder. Every other column is kept as an attribute of the
sample, so that results can be grouped by age, view or scanner.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path, PurePosixPath

from extract.datasets.source import Contents, DatasetSource, Item, slug
from extract.datasets.splits import split_name
from warehouse.errors import LayerhouseError

SUFFIXES = {".csv", ".tsv", ".parquet"}
NAMES = ("manifest.csv", "manifest.parquet")
_REQUIRED = ("image_path", "label")
_OWN = {*_REQUIRED, "split", "group_id"}


class Manifest(DatasetSource):
    """A table of images: the file itself, or a folder that carries one under a usual name.

    Reading raises LayerhouseError for missing columns (naming those it has), empty cells, an
    unknown split, a path listed twice, and missing files (the first and their number).
    """

    def recognises(self, typed: str) -> bool:
        return _file(typed) is not None

    def read(self, typed: str) -> Contents:
        path = _file(typed)
        assert path is not None, "only what is recognised is read"
        read_table = _read_parquet if path.suffix.lower() == ".parquet" else _read_csv
        columns, rows = read_table(path)
        missing = [name for name in _REQUIRED if name not in columns]
        if missing:
            raise LayerhouseError(
                f"{path} has no column {' and no column '.join(missing)}; "
                f"it has {', '.join(columns) or 'none'}"
            )
        if not rows:
            raise LayerhouseError(f"{path} lists no images")
        has_splits = any(row.get("split") for row in rows)
        items = [_item(row, path, number, has_splits) for number, row in enumerate(rows, start=1)]
        _check_files(items, path)
        title = path.parent.name if path.name in NAMES else f"{path.parent.name} ({path.stem})"
        return Contents(str(path), items, title)

    def default_name(self, typed: str) -> str:
        """The folder's name; a manifest that is not simply called `manifest` adds its own.

        So several label sets of the same images can live side by side.
        """
        place = Path(typed).expanduser().resolve()
        if place.is_dir():
            return slug(place.name)
        own = "" if place.name in NAMES else "_" + place.stem.removeprefix("manifest_")
        return slug(place.parent.name + own)


def _file(typed: str) -> Path | None:
    """The manifest that is meant, if one is."""
    place = Path(typed).expanduser().absolute()
    if place.is_dir():
        return next((place / name for name in NAMES if (place / name).is_file()), None)
    return place if place.suffix.lower() in SUFFIXES and place.is_file() else None


def _item(row: dict[str, str], path: Path, number: int, has_splits: bool) -> Item:
    where = f"row {number} of {path}"
    for name in (*_REQUIRED, "split") if has_splits else _REQUIRED:
        if not row.get(name):
            raise LayerhouseError(f"{where} has no {name}")
    image = PurePosixPath(row["image_path"])
    file = Path(path.parent, image)
    attributes = {key: value for key, value in row.items() if key not in _OWN and value}
    split = split_name(row["split"], where) if has_splits else None
    return Item(str(image), str(file), row["label"], split, row.get("group_id"), attributes)


def _check_files(items: list[Item], path: Path) -> None:
    name, times = Counter(item.sample_id for item in items).most_common(1)[0]
    if times > 1:
        raise LayerhouseError(f"{path} lists {name} {times} times; every image belongs there once")
    absent = [item for item in items if not Path(item.uri).is_file()]
    if absent:
        raise LayerhouseError(
            f"{len(absent)} of {len(items)} images listed in {path} do not exist, "
            f"first {absent[0].sample_id}"
        )


def _read_csv(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows, cells stripped; `utf-8-sig` swallows the mark that Excel puts first."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, delimiter="\t" if path.suffix == ".tsv" else ",")
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = [
                {key: value.strip() for key, value in row.items() if key and value is not None}
                for row in reader
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise LayerhouseError(f"{path} is not a readable CSV file: {error}") from error
    return columns, rows


def _read_parquet(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise LayerhouseError(f"{path} is not a readable Parquet file: {error}") from error
    rows = [
        {key: str(value).strip() for key, value in row.items() if value is not None}
        for row in table.to_pylist()
    ]
    return table.column_names, rows
