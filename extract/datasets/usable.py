"""Which images of a source can be used: all of them, or those that a person goes on with."""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from extract.datasets.measuring import Measured
from extract.datasets.source import Contents, Item
from warehouse.errors import LayerhouseError
from warehouse.files import telling_unwritable, write_at_once
from warehouse.images import is_image_file, parted

Images = Mapping[str, Measured | LayerhouseError]
"""What was measured of every image by uri, or why it could not be."""

LISTED = 200
"""Bad files that a message names; more of them are counted."""


def write_rejected(out: Path, contents: Contents, images: Images) -> None:
    """Writes the CSV file `out`: every image that cannot be used, and why; a header alone where all
    can. LayerhouseError where it cannot be written."""

    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(("sample_id", "reason"))
            table.writerows(
                (item.sample_id, f"{reason}{_hint(item)}")
                for item, reason in _bad(contents, images)
            )

    with telling_unwritable(out):
        write_at_once(out, write)


def _bad(contents: Contents, images: Images) -> list[tuple[Item, LayerhouseError]]:
    found = ((item, images[item.uri]) for item in contents.items)
    return [(item, image) for item, image in found if not isinstance(image, Measured)]


def refuse_unwritable(contents: Contents) -> None:
    """LayerhouseError for names that are no UTF-8, which neither tables nor reports can hold."""
    bad = [item for item in contents.items if not _is_text(item)]
    if bad:
        shown = ascii(bad[0].sample_id).strip("'")
        raise LayerhouseError(
            f"{len(bad):,} names of {contents.location.encode(errors='replace').decode()} are not "
            f"UTF-8, first {shown}; rename them, for example with "
            "convmv -r -f gbk -t utf-8 --notest FOLDER (or -f latin1)"
        )


def _is_text(item: Item) -> bool:
    said = (item.sample_id, item.uri, item.label or "", item.group_id or "")
    try:
        "".join((*said, *item.attributes, *item.attributes.values())).encode()
    except UnicodeEncodeError:
        return False
    return True


def usable(contents: Contents, images: Images, skip_bad: bool) -> tuple[Contents, list[Measured]]:
    """The contents without images that cannot be used, and what was measured of the rest.

    LayerhouseError that names every bad file unless `skip_bad`, and where nothing is left.
    """
    good, measured = [], []
    for item in contents.items:
        image = images[item.uri]
        if isinstance(image, Measured):
            good.append(item)
            measured.append(image)
    bad = _bad(contents, images)
    if not bad:
        return contents, measured
    if not good:
        first, reason = bad[0]
        is_listed = Path(contents.location).is_file() and "#" not in first.uri
        elsewhere = is_listed and not Path(first.uri).exists()
        start = "; --images FOLDER names the one that paths start from" if elsewhere else ""
        raise LayerhouseError(
            f"none of the {len(bad):,} images of {contents.location} can be used, first "
            f"{reason}{_hint(first) or start}"
        )
    told = f"{len(bad):,} of {len(contents.items):,} images cannot be used"
    if not skip_bad:
        raise LayerhouseError(f"{told}; --skip-bad leaves them out:\n{_listed(bad)}")
    note = f"{told} and were left out:\n{_listed(bad)}"
    reasons = Counter(_reason(item, error) for item, error in bad)
    left_out = {**contents.left_out, **dict(reasons.most_common())}
    notes = (*contents.notes, note)
    return replace(contents, items=good, notes=notes, left_out=left_out), measured


def _reason(item: Item, error: LayerhouseError) -> str:
    """Why a file cannot be used, in words that hold for others too."""
    said = str(error).partition("; ")[0].replace(parted(item.uri)[0], "").strip()
    return f"images that cannot be used: {said}"


def _listed(bad: Sequence[tuple[Item, LayerhouseError]]) -> str:
    lines = [f"  {reason}{_hint(item)}" for item, reason in bad[:LISTED]]
    if len(bad) > LISTED:
        lines.append(f"  and {len(bad) - LISTED:,} more; --rejected FILE.csv lists all of them")
    return "\n".join(lines)


def _hint(item: Item) -> str:
    """Why a file is not there, where its folder tells: another ending, case or Unicode form."""
    file = Path(item.uri)
    if file.exists() or "#" in item.uri or not file.is_absolute():
        return ""
    if file.is_symlink():
        return f": it is a link to {file.readlink()}, which is not there"
    if not file.parent.is_dir():
        return f": there is no folder {file.parent} (--images names the one that paths start from)"
    meant, alike = {_plain(file.name), _plain(unquote(file.name))}, ""
    stem = _plain(file.stem)
    for other in file.parent.iterdir():
        own = _plain(other.stem)
        if _plain(other.name) in meant or own in meant:
            return f"; there is {other.name} instead"
        if own == stem and is_image_file(other):
            alike = f"; there is {other.name} instead"
    return alike


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
