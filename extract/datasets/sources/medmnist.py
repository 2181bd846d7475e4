"""MedMNIST archives: images held in arrays of one `.npz` file."""

from __future__ import annotations

from pathlib import Path

from extract.datasets.source import Contents, DatasetSource, Item
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import SPLITS


class MedMnist(DatasetSource):
    """`<split>_images` [n, h, w(, 3)] or [n, d, h, w] and `<split>_labels` [n(, 1)].

    Classes are the numbers of the archive; give phrases to name them. Reading raises
    LayerhouseError for absent arrays, other pixel types and several labels per image.
    """

    def recognises(self, typed: str) -> bool:
        place = Path(typed).expanduser()
        return place.suffix.lower() == ".npz" and place.is_file()

    def read(self, typed: str) -> Contents:
        import numpy as np

        path = Path(typed).expanduser().absolute()
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
        return Contents(str(path), items, path.stem)


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
    if values.ndim not in (3, 4):
        raise LayerhouseError(
            f"{where} has shape {values.shape}; grey [n, h, w] or colour [n, h, w, 3] images or "
            "volumes [n, d, h, w] are needed"
        )
    if values.dtype not in (np.uint8, np.uint16):
        raise LayerhouseError(f"{where} holds {values.dtype} pixels; uint8 or uint16 is needed")
    if len(values) != n_labels:
        raise LayerhouseError(f"{where} holds {len(values)} images for {n_labels} labels")
