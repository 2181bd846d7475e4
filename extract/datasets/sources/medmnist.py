"""MedMNIST archives: images held in arrays of one `.npz` file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from extract.datasets.source import Contents, DatasetSource, Item
from extract.datasets.sources.medmnist_names import PHRASES, published_names
from warehouse.errors import LayerhouseError
from warehouse.images import array_facts, what_instead
from warehouse.vocabulary import SPLITS

SAVE_ANEW = "save it anew with numpy.savez, arrays called train_images, train_labels and so on"


class MedMnist(DatasetSource):
    """`<split>_images` [n, h, w(, 3)] or [n, d, h, w], `<split>_labels` [n(, 1)] or [n, findings].

    Classes have the names that MedMNIST publishes for an archive of that name; elsewhere they are
    its numbers, for phrases to name. Several columns of zeros and ones are findings, unless one of
    them is 1 for every image. Reading raises LayerhouseError for absent arrays, other pixel types
    and labels of another form.
    """

    def recognises(self, typed: str) -> bool:
        place = Path(typed).expanduser()
        return place.suffix.lower() == ".npz" and place.is_file()

    def read(self, typed: str) -> Contents:
        import zipfile
        import zlib

        import numpy as np

        path = Path(typed).expanduser().absolute()
        broken = (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)
        try:
            archive = np.load(path, allow_pickle=False)
        except broken as error:
            what = what_instead(path)
            if what is None or "ZIP" in what:
                what = f"not a readable NumPy archive: {error}"
            raise LayerhouseError(f"{path} is {what}") from error
        items: list[Item] = []
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise LayerhouseError(f"{path} is one array and no archive; {SAVE_ANEW}")
        with archive:
            splits = [split for split in SPLITS if f"{split}_images" in archive]
            if not splits:
                raise LayerhouseError(
                    f"{path} has no array train_images, val_images or test_images; "
                    f"it has {', '.join(archive.files) or 'none'}; {SAVE_ANEW}"
                )
            for split in splits:
                try:
                    items += _items(archive, split, path)
                except broken as error:  # objects, which only a pickle holds; a password
                    raise LayerhouseError(
                        f"{path} holds {split}_images or {split}_labels that cannot be read: "
                        f"{error}; save it anew with numpy.savez, pixels as uint8 or uint16"
                    ) from error
        if splits == ["train"]:
            items = [replace(item, split=None) for item in items]
        contents, names = Contents(str(path), items, path.stem), published_names(path.stem)
        return _named(contents if names else _of_one_each(contents), names)


def _of_one_each(contents: Contents) -> Contents:
    """Findings of which every image has exactly one are its class, as of tables: one-hot labels."""
    there = [[name for name, has in item.findings.items() if has] for item in contents.items]
    if not there or not all(len(names) == 1 for names in there):
        return contents
    items = [
        replace(item, label=names[0], findings={})
        for item, names in zip(contents.items, there, strict=True)
    ]
    n = len(contents.items[0].findings)
    note = f"the classes are the {n} columns of the labels: one of them is 1 for every image"
    return replace(contents, items=items, notes=(note,))


def _items(archive: Any, split: str, path: Path) -> Iterator[Item]:
    """The images of one split, with a number or findings that are numbered."""
    if f"{split}_labels" not in archive:
        raise LayerhouseError(f"{path} has {split}_images but no {split}_labels")
    array_facts(archive, f"{split}_labels", str(path))
    labels = _labels(archive[f"{split}_labels"], f"{split}_labels of {path}")
    shape, dtype = array_facts(archive, f"{split}_images", str(path))
    _check_images(shape, dtype, len(labels), f"{split}_images of {path}")
    for index, label in enumerate(labels):
        name, uri = f"{split}/{index:05d}", f"{path}#{split}_images/{index}"
        if isinstance(label, list):
            findings = {str(n): there == 1 for n, there in enumerate(label)}
            yield Item(name, uri, None, split, findings=findings)
        else:
            yield Item(name, uri, str(label), split)


def _named(contents: Contents, names: Sequence[str]) -> Contents:
    """Contents whose numbers are names, if there is one for each."""
    numbers = [str(number) for number in range(len(names))]
    findings = tuple(contents.items[0].findings) if contents.items else ()
    used = {*findings, *(item.label for item in contents.items if item.label is not None)}
    known = dict(zip(numbers, names, strict=True)) if used <= set(numbers) else {}
    if not known:
        return replace(contents, findings=findings)
    items = [
        replace(
            item,
            label=None if item.label is None else known[item.label],
            findings={known[number]: there for number, there in item.findings.items()},
        )
        for item in contents.items
    ]
    return replace(
        contents,
        items=items,
        labels=None if findings else tuple(known[number] for number in numbers if number in used),
        phrases=PHRASES,
        findings=tuple(known[number] for number in findings),
    )


def _labels(labels: object, where: str) -> list[Any]:
    """One number per image, or a list of zeros and ones."""
    import numpy as np

    values = np.asarray(labels)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and np.isin(values, (0, 1)).all():
        return list(values.tolist())
    if values.ndim != 1:
        raise LayerhouseError(
            f"{where} holds several labels per image that are not 0 or 1; one class per image, or "
            "one column per finding, is needed"
        )
    if values.dtype.kind in "biuf":
        bad = np.flatnonzero(~((values >= 0) & (values == np.floor(values))))
        if len(bad):
            raise LayerhouseError(
                f"{where} holds {values[bad[0]]} for image {bad[0]}, which is no number of a class"
                f"; {len(bad):,} images have no label of 0, 1, 2, …"
            )
        values = values.astype(int)
    return list(values.tolist())


def _check_images(shape: tuple[int, ...], dtype: Any, n_labels: int, where: str) -> None:
    if len(shape) not in (3, 4):
        raise LayerhouseError(
            f"{where} has shape {shape}; grey [n, h, w] or colour [n, h, w, 3] images or "
            "volumes [n, d, h, w] are needed"
        )
    if len(shape) == 4 and 3 in shape[1:2] and shape[3] != 3:
        raise LayerhouseError(
            f"{where} has shape {shape}: where 3 are colours they come last, [n, h, w, 3]; "
            "turn the array with numpy.moveaxis"
        )
    if len(shape) == 4 and shape[3] in (1, 2, 4) and shape[1] > 4:
        raise LayerhouseError(
            f"{where} has shape {shape}; grey is [n, h, w] and colour [n, h, w, 3], so drop "
            "the last axis, or its transparency"
        )
    if dtype not in ("uint8", "uint16"):
        raise LayerhouseError(f"{where} holds {dtype} pixels; scale them and save uint8 or uint16")
    if shape[0] != n_labels:
        raise LayerhouseError(f"{where} holds {shape[0]} images for {n_labels} labels")
