"""Matching: which sample of a dataset a file means, by its id or by the file it names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import unquote

from warehouse.catalogue import DatasetInfo
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake, mark_of, removed_samples

_OPTION = re.compile(r"[#&](?:frame|range|on)=.*$")


class SampleNames:
    """Finds samples by what other programs call them.

    A sample's id is its name. So is its file, whatever folders and suffix another machine gave it,
    if only one sample has it: the more folders agree the better. A number alone names nothing but
    an id, since every dataset has files called by numbers: it needs its folder.
    """

    def __init__(self, uris: Mapping[str, str], removed: Collection[str] = ()) -> None:
        self._ids, self._removed = frozenset(uris), frozenset(removed)
        self._paths: dict[str, list[tuple[str, Sequence[str]]]] = {}
        for name, uri in uris.items():
            for parts in {_parts(name), _parts(_OPTION.sub("", uri))}:
                if parts:
                    self._paths.setdefault(_stem(parts[-1]), []).append((name, parts))

    @classmethod
    def of(cls, lake: Lake, info: DatasetInfo) -> SampleNames:
        """Those of a dataset."""
        return cls(info.uris, removed_samples(lake).get(info.dataset_id, {}))

    def is_removed(self, said: str) -> bool:
        """Whether a sample of that name, with fewer folders or all, was removed: what is left of it
        is its mark, and its file's name may be that of another sample."""
        parts = _parts(said) if self._removed else ()
        names = (said, *("/".join(parts[at:]) for at in range(len(parts))))
        return any(mark_of(name) in self._removed for name in names if name not in self._ids)

    def find(self, said: str) -> str | None:
        """The sample that is meant, or None. LayerhouseError where it may be several."""
        if said in self._ids:
            return said
        parts = _parts(said)
        if not parts:
            return None
        stem = _stem(parts[-1])
        near: dict[str, tuple[int, bool]] = {}
        for name, own in self._paths.get(stem, ()):
            alike = _alike(parts, own)
            if alike > 1 or not stem.isdecimal():
                same_file = parts[-1] == own[-1]
                near[name] = max(near.get(name, (0, False)), (alike, same_file))
        if not near:
            return None
        best = [name for name, how in near.items() if how == max(near.values())]
        if len(best) > 1:
            raise LayerhouseError(
                f"{said} may be any of {len(best)} samples ({', '.join(sorted(best)[:3])}); name "
                "samples by their ids, or with as many folders as tell them apart"
            )
        return best[0]


def _parts(path: str) -> tuple[str, ...]:
    """The folders and the file of a path of any machine."""
    if address := re.match(r"[a-zA-Z][\w+.-]*://", path):
        path = re.sub(r"[?#].*", "", path[address.end() :])  # what a signed address ends in
    plain = unquote(path).replace("\\", "/")
    return tuple(part for part in plain.split("/") if part not in ("", "."))


def _stem(file: str) -> str:
    """A file's name without its suffix, which is what begins with a letter: no part of a UID."""
    return re.sub(r"(\.nii\.gz|\.[A-Za-z]\w{0,4})$", "", file)


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many names two paths share at their ends; of the last its suffix does not count."""
    count = 1
    for mine, yours in zip(reversed(one[:-1]), reversed(other[:-1]), strict=False):
        if mine != yours:
            break
        count += 1
    return count
