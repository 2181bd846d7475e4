"""What a source of labelled images is, and what it hands over before anything is checked."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from warehouse.errors import UsageError


@dataclass(frozen=True)
class ReadOptions:
    """What a person says of how a source is to be read.

    `columns` names a table's columns by what they mean (`label` → `Finding`); an empty name says
    that the table has no such column. `encoding` and `delimiter` are those of its text, `separator`
    stands between several labels of one cell (`none`: a cell is one label whatever it holds).
    `missing` says what a cell without a label means: `skip` leaves the image out, `no` means that
    the finding is absent; `uncertain` does so for a label of -1 and knows `yes` too. Without them
    both are errors. `images` is the folder that a table's paths start from. `unlabelled`
    takes images without any labels; `skip_bad` leaves out those that are not there;
    `plain_patient_ids` keeps DICOM's PatientIDs as they are.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    delimiter: str | None = None
    separator: str | None = None
    missing: str | None = None
    uncertain: str | None = None
    images: str | None = None
    unlabelled: bool = False
    skip_bad: bool = False
    plain_patient_ids: bool = False


@dataclass(frozen=True)
class Item:
    """One image; `label`, `split` and `group_id` are None where the source has none.

    `uri` is what `warehouse.images.open_image` opens, `split` one of train, val and test;
    `attributes` (age, view, scanner, …) are kept so that results can be grouped by them. Where an
    image may have several labels, `findings` says of each whether it is there, None where that is
    not known.
    """

    sample_id: str
    uri: str
    label: str | None
    split: str | None = None
    group_id: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    findings: Mapping[str, bool | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """All samples of one source.

    `labels` fixes the class order where the natural order of the labels is not the right one, and
    `phrases` spells classes that their labels do not; `notes` are warnings of the reader.
    `findings` names, in order, what an image may have several of; there is no single label then.
    `groups_from` says in words what the groups are, `left_out` what of the source is no sample,
    each with the number of files.
    """

    location: str
    items: list[Item]
    title: str
    licence: str | None = None
    labels: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    phrases: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    groups_from: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)


class DatasetSource(ABC):
    """One kind of place that labelled images come from.

    A person types a path, a name or an address of any other form; every source says whether it is
    one of its own, and reads it. `offers` are datasets that come with the source and need no path.
    """

    offers: tuple[str, ...] = ()
    understands: frozenset[str] = frozenset()
    """The fields of `ReadOptions` that mean something to this source."""

    @abstractmethod
    def recognises(self, typed: str) -> bool:
        """Whether this source reads what a person typed: at a glance, without reading it all."""

    @abstractmethod
    def read(self, typed: str) -> Contents:
        """All samples, in any order; LayerhouseError with the place for data that is bad."""

    def read_as(self, typed: str, reading: ReadOptions) -> Contents:
        """`read` as a person wants it; whoever understands no options need not know of them."""
        return self.read(typed)

    def location(self, typed: str) -> str:
        """The `location` of the contents, known without reading them."""
        return str(Path(typed).expanduser().absolute())

    def default_name(self, typed: str) -> str:
        """The dataset's id where the person gives none: that of its folder or file."""
        return name_of(Path(typed).expanduser().resolve())


class SourceAsAsked(DatasetSource):
    """A source that is read as a person wants it."""

    def read(self, typed: str) -> Contents:
        return self.read_as(typed, ReadOptions())

    @abstractmethod
    def read_as(self, typed: str, reading: ReadOptions) -> Contents:
        """`read`, as the options say."""


def name_of(place: Path) -> str:
    """The dataset id of a folder, or of a file without its ending."""
    return slug(place.stem if place.is_file() else place.name)


def slug(text: str) -> str:
    """`text` as a dataset id; UsageError where nothing of it is left."""
    found = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")
    if not found:
        raise UsageError(f"{text!r} gives no dataset name; use `layerhouse datasets add NAME PATH`")
    return found
