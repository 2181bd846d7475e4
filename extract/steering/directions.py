"""Directions: along which a class is written at a place, and their controls.

Of every class there is a sham, its direction with the coordinates shuffled. Beside them stand
random directions: the mean of a group drawn at random, as large as a class is, less that of all
others, which is what labels without meaning give. Such directions move answers far more than those
drawn from a ball, by which most sets of shuffled labels would own a class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from extract.anatomy import Locus
from extract.patching import Along
from extract.steering.request import READOUT_OF, parts_of
from extract.steering.sources import Floats, Source, Vectors
from warehouse.catalogue import Warehouse
from warehouse.errors import LayerhouseError
from warehouse.variants import making
from warehouse.vocabulary import Cell

N_RANDOM = 100
LEAST_SPREAD = 1e-4
"""States that differ by less than this share of their size have seen nothing of the image."""

Fold = int | None


class BlindError(LayerhouseError):
    """At this place the states of all images are the same."""


@dataclass(frozen=True)
class Learners:
    """Whose states directions are learned of: `trained` are sample ids by the fold that they serve
    (None where there is a split), `fold_of` says which fold a scored sample is in."""

    trained: Mapping[Fold, frozenset[str]]
    fold_of: Mapping[str, Fold]

    @classmethod
    def of(cls, wh: Warehouse, dataset_id: str) -> "Learners":
        """Under folds those of the first dealing."""
        rows = wh.sql(
            "SELECT fold, sample_id FROM trained_sample WHERE dataset_id = $1 AND "
            "coalesce(repetition, 0) = 0",
            [dataset_id],
        ).fetchall()
        found: dict[Fold, set[str]] = {}
        for fold, name in rows:
            found.setdefault(fold, set()).add(name)
        folds = wh.sql(
            "SELECT sample_id, fold FROM sample_fold WHERE dataset_id = $1 AND repetition = 0",
            [dataset_id],
        ).fetchall()
        return cls({fold: frozenset(names) for fold, names in found.items()}, dict(folds))


@dataclass(frozen=True)
class CellDirections:
    """Directions of one length at one cell, by fold: those of the `classes`, their shams, random
    ones, in this order, fp32 (2 × classes + random, width). `learned` tells of which samples."""

    by_fold: Mapping[Fold, Tensor]
    learned: str


@dataclass(frozen=True)
class Directions:
    """The directions at all places of a job. `classes` are those that have one everywhere, `blind`
    names loci that were left out since nothing of the image is seen there."""

    learners: Learners
    classes: tuple[int, ...]
    cells: Mapping[tuple[str, str], CellDirections]
    blind: frozenset[str] = frozenset()

    @property
    def n(self) -> int:
        return 2 * len(self.classes) + N_RANDOM

    def along(self, locus: Locus, tokens: str, names: Sequence[str], number: int) -> list[Along]:
        """What is added to each of these samples' states by one of the directions."""
        parts = {part: self.cells[locus.name, part].by_fold for part in parts_of(tokens)}
        folds = [self.learners.fold_of.get(name) for name in names]
        return [{part: by[fold][number] for part, by in parts.items()} for fold in folds]

    @property
    def learned(self) -> dict[str, str]:
        """By place a mark of the samples that its directions were learned of."""
        return {f"{name}/{part}": one.learned for (name, part), one in self.cells.items()}


def learn(
    wh: Warehouse,
    of: tuple[str, str],
    source: Source,
    places: Sequence[tuple[Locus, str]],
    *,
    skip_blind: bool,
) -> Directions:
    """Directions of a model on a dataset, `of`, at loci with the tokens that are moved there.

    Raises UsageError where the lake holds no activations of a place, LayerhouseError where fewer
    than two classes can be told apart, or nothing of the image is seen and that is not to be
    skipped.
    """
    learners = Learners.of(wh, of[1])
    wanted = {(locus, part) for locus, tokens in places for part in parts_of(tokens)}
    found: dict[tuple[str, str], _Learned] = {}
    blind: dict[str, BlindError] = {}
    for locus, part in sorted(wanted, key=lambda one: (one[0].depth, one[1])):
        cell = Cell(locus.module, locus.layer, READOUT_OF[part])
        try:
            found[locus.name, part] = _Learned(wh, of, cell, source, learners)
        except BlindError as error:
            if not skip_blind:
                raise
            blind[locus.name] = error
    seeing = {key: one for key, one in found.items() if key[0] not in blind}
    if not seeing:
        raise next(iter(blind.values()))
    sets = [set(vectors) for one in seeing.values() for vectors in one.vectors.values()]
    classes = tuple(sorted(set.intersection(*sets)))
    if not classes:
        raise LayerhouseError(f"no class of {of[1]} has a direction by {source.name}")
    cells = {key: one.drawn(classes) for key, one in seeing.items()}
    return Directions(learners, classes, cells, frozenset(blind))


class _Learned:
    """What is learned of the states of one cell, by fold."""

    def __init__(
        self, wh: Warehouse, of: tuple[str, str], cell: Cell, source: Source, learners: Learners
    ) -> None:
        self.cell = cell
        matrix, samples = wh.activations(*of, cell.module, cell.layer, cell.readout)
        names, labels = samples["sample_id"].to_list(), samples["class_index"].to_numpy()
        mark = blake2b(source.name.encode(), digest_size=8)
        self.vectors: dict[Fold, Vectors] = {}
        self.random: dict[Fold, Floats] = {}
        for fold, trained in learners.trained.items():
            rows = [at for at, name in enumerate(names) if name in trained]
            if len(rows) < 2 or len(set(labels[rows].tolist())) < 2:
                raise LayerhouseError(
                    f"the lake holds states at {cell} of {len(rows)} samples that directions could "
                    f"be learned of, which need two classes; `layerhouse extract {making(*of)}` "
                    "adds them"
                )
            states = matrix[rows].astype(np.float64)
            centred = states - states.mean(axis=0)
            if np.linalg.norm(centred) < LEAST_SPREAD * np.linalg.norm(states):
                raise BlindError(
                    f"the states at {cell} are the same for all images: nothing of them is seen "
                    "there; name a later layer"
                )
            mark.update("\n".join([str(fold), *(names[at] for at in rows)]).encode())
            self.vectors[fold] = source.at(wh, cell, states, labels[rows])
            self.random[fold] = _groups(labels[rows], fold) @ centred
        self.mark = mark.hexdigest()

    def drawn(self, classes: Sequence[int]) -> CellDirections:
        by_fold = {}
        for fold, vectors in self.vectors.items():
            own = np.stack([vectors[index] for index in classes])
            sham = np.stack([_shuffled(vectors[index], index) for index in classes])
            every = np.concatenate([own, sham, self.random[fold]])
            lengths = np.linalg.norm(every, axis=1, keepdims=True)
            if not lengths.all():
                raise BlindError(f"the classes cannot be told apart at {self.cell}")
            by_fold[fold] = torch.from_numpy((every / lengths).astype(np.float32))
        return CellDirections(by_fold, self.mark)


def _groups(labels: npt.NDArray[np.int64], fold: Fold) -> Floats:
    """Groups of samples drawn at random, as large as one class after the other: 0 or 1 [random, n].

    Of the same samples they are the same at all places: their directions are akin from place to
    place, as those of a class are.
    """
    rng = np.random.default_rng([0, 0 if fold is None else fold])
    _, sizes = np.unique(labels, return_counts=True)
    groups = np.zeros((N_RANDOM, len(labels)))
    for number, group in enumerate(groups):
        group[rng.choice(len(labels), sizes[number % len(sizes)], replace=False)] = 1
    return groups


def _shuffled(vector: npt.NDArray[np.float64], class_index: int) -> Floats:
    return np.asarray(np.random.default_rng([1, class_index]).permutation(vector))
