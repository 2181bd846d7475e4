"""A registered dataset as labelled images, and what a trained baseline hands back."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from analysis.parallel import cores
from analysis.probes import weights_for
from warehouse.catalogue import Warehouse, dataset, labelled
from warehouse.errors import LayerhouseError
from warehouse.images import open_image, parted
from warehouse.vocabulary import ACCURACY, SPLITS

Value = TypeVar("Value")

SIDES = (64, 128)  # of the squares that baselines see; the smaller one where no image is larger


@dataclass(frozen=True)
class LabelledImages:
    """Images and classes of a dataset; `rows[split]` index the arrays, ordered by sample_id.

    Under folds all are test, and `folds` [n repetitions, n images] says in which fold.
    largest_side: of any image, in pixels; fingerprint: changes with images, how they are
    opened, classes and splits; score: the dataset's, which baselines are fitted for.
    """

    sample_ids: NDArray[np.object_]
    uris: list[str]
    class_index: NDArray[np.int64]
    rows: dict[str, NDArray[np.intp]]
    labels: list[str]
    largest_side: int
    fingerprint: str
    folds: NDArray[np.int64] | None = None
    score: str = ACCURACY

    @property
    def n_classes(self) -> int:
        return len(self.labels)

    @property
    def side(self) -> int:
        """Of the squares that a baseline is to see, where no side is asked for."""
        return SIDES[0] if self.largest_side <= SIDES[0] else SIDES[1]

    def weights(self, split: str) -> Tensor | None:
        """What the images of a split weigh, as those of a probe (`weights_for`)."""
        return weights_for(self.score, torch.from_numpy(self.class_index[self.rows[split]]))

    def each(self, read: Callable[[Image], Value]) -> list[Value]:
        """`read` of every image, decoded on all cores, a few in memory at a time."""
        with ThreadPoolExecutor(cores()) as pool:
            return list(pool.map(lambda uri: read(open_image(uri)), self.uris))


@dataclass(frozen=True)
class Trained:
    """Logits [n, n_classes] on val and test, and what was chosen on val, as JSON values."""

    val_logits: NDArray[np.float32]
    test_logits: NDArray[np.float32]
    chosen: dict[str, Any]


def read_images(wh: Warehouse, dataset_id: str) -> LabelledImages:
    """A dataset's images; UsageError if unknown, LayerhouseError where a split is empty."""
    info = labelled(dataset(wh, dataset_id), "a baseline")
    split = info.samples["split"].to_numpy()
    rows = {name: np.flatnonzero(split == name) for name in SPLITS}
    classes = info.samples["class_index"].to_numpy().astype(np.int64)
    if info.folds is None:
        _refuse_untrained(dataset_id, rows, classes)
    columns = info.samples.select("sample_id", "sha256", "class_index", "split")
    uris = info.samples["uri"].to_list()
    dealt = "" if info.folds is None else str(info.folds.tolist())
    opened = [str(parted(uri)[1]) for uri in uris]  # empty where nothing was decided
    return LabelledImages(
        sample_ids=info.samples["sample_id"].to_numpy().astype(object),
        uris=uris,
        class_index=classes,
        rows=rows,
        labels=[row.label for row in info.classes],
        largest_side=int(info.samples.select("width", "height").to_numpy().max()),
        fingerprint=blake2b(
            (columns.write_csv() + "".join(opened) + dealt).encode(), digest_size=8
        ).hexdigest(),
        folds=None if info.folds is None else info.folds.T,
        score=info.score,
    )


def _refuse_untrained(
    dataset_id: str, rows: dict[str, NDArray[np.intp]], classes: NDArray[np.int64]
) -> None:
    for name in SPLITS:
        if not len(rows[name]):
            raise LayerhouseError(
                f"{dataset_id} has no {name} sample; a baseline needs train, val and test"
            )
    if len(np.unique(classes[rows["train"]])) < 2:
        raise LayerhouseError(
            f"the train split of {dataset_id} shows one class only; a baseline needs two"
        )
