"""What a source of labelled images is, and what it hands over before anything is checked."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

from warehouse.errors import UsageError


@dataclass(frozen=True)
class Item:
    """One labelled image; `split` and `group_id` are None where the source has none.

    `uri` is what `warehouse.images.open_image` opens, `split` one of train, val and test;
    `attributes` (age, view, scanner, …) are kept so that results can be grouped by them.
    """

    sample_id: str
    uri: str
    label: str
    split: str | None = None
    group_id: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """All samples of one source.

    `labels` fixes the class order where the natural order of the labels is not the right one;
    `notes` are warnings of the reader.
    """

    location: str
    items: list[Item]
    title: str
    licence: str | None = None
    labels: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


class DatasetSource(ABC):
    """One kind of place that labelled images come from.

    A person types a path, a name or an address of any other form; every source says whether it is
    one of its own, and reads it. `offers` are datasets that come with the source and need no path.
    """

    offers: tuple[str, ...] = ()

    @abstractmethod
    def recognises(self, typed: str) -> bool:
        """Whether this source reads what a person typed: at a glance, without reading it all."""

    @abstractmethod
    def read(self, typed: str) -> Contents:
        """All samples, in any order; LayerhouseError with the place for data that is bad."""

    def default_name(self, typed: str) -> str:
        """The dataset's id where the person gives none: that of its folder or file."""
        return name_of(Path(typed).expanduser().resolve())


def name_of(place: Path) -> str:
    """The dataset id of a folder, or of a file without its ending."""
    return slug(place.stem if place.is_file() else place.name)


def slug(text: str) -> str:
    """`text` as a dataset id; UsageError where nothing of it is left."""
    found = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")
    if not found:
        raise UsageError(f"{text!r} gives no dataset name; use `layerhouse datasets add NAME PATH`")
    return found
