"""Images held in arrays: the built-in digits and MedMNIST archives."""

from __future__ import annotations

from pathlib import Path

from extract.datasets.source import Item, Source
from warehouse.errors import LayerhouseError
from warehouse.images import DIGITS_SCHEME, digit_arrays
from warehouse.vocabulary import SPLITS

DIGIT_LABELS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
)


def read_digits() -> Source:
    """The 1,797 handwritten digits that scikit-learn ships, 8 × 8 pixels, ten classes."""
    _, labels = digit_arrays()
    items = [
        Item(f"digits/{index:04d}", f"{DIGITS_SCHEME}{index}", DIGIT_LABELS[int(label)])
        for index, label in enumerate(labels)
    ]
    return Source(
        location="sklearn-digits",
        items=items,
        title="Handwritten digits (UCI optical recognition, as shipped with scikit-learn)",
        licence="CC BY 4.0",
        labels=DIGIT_LABELS,
    )


def read_medmnist(path: Path) -> Source:
    """A MedMNIST archive: `<split>_images` [n, h, w(, 3)] uint8 and `<split>_labels` [n(, 1)].

    Classes are the numbers of the archive; give phrases to name them. Raises LayerhouseError for
    absent arrays, volumes, other pixel types and several labels per image.
    """
    import numpy as np

    try:
        archive = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise LayerhouseError(f"{path} is not a readable NumPy archive: {error}") from error
    items: list[Item] = []
    with archive:
        splits = [split for split in SPLITS if f"{split}_images" in archive]
        if not splits:
            raise LayerhouseError(
                f"{path} has no array train_images, val_images or test_images; "
                f"it has {', '.join(archive.files) or 'none'}"
            )
        for split in splits:
            if f"{split}_labels" not in archive:
                raise LayerhouseError(f"{path} has {split}_images but no {split}_labels")
            images = archive[f"{split}_images"]
            labels = _labels(archive[f"{split}_labels"], f"{split}_labels of {path}")
            _check_images(images, len(labels), f"{split}_images of {path}")
            items += [
                Item(f"{split}/{index:05d}", f"{path}#{split}_images/{index}", label, split)
                for index, label in enumerate(labels)
            ]
    if splits == ["train"]:
        items = [Item(item.sample_id, item.uri, item.label) for item in items]
    return Source(str(path), items, path.stem)


def _labels(labels: object, where: str) -> list[str]:
    import numpy as np

    values = np.asarray(labels)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise LayerhouseError(
            f"{where} holds several labels per image; one class per image is needed"
        )
    return [str(value) for value in values.tolist()]


def _check_images(images: object, n_labels: int, where: str) -> None:
    import numpy as np

    values = np.asarray(images)
    if values.ndim not in (3, 4) or (values.ndim == 4 and values.shape[3] != 3):
        raise LayerhouseError(
            f"{where} has shape {values.shape}; grey [n, h, w] or colour "
            "[n, h, w, 3] images are needed"
        )
    if values.dtype != np.uint8:
        raise LayerhouseError(f"{where} holds {values.dtype} pixels; uint8 is needed")
    if len(values) != n_labels:
        raise LayerhouseError(f"{where} holds {len(values)} images for {n_labels} labels")
