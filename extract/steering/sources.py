"""Sources: where the direction of a class comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from shlex import quote
from typing import Protocol

import numpy as np
import numpy.typing as npt

from extract.steering.request import SteerRequest
from warehouse.catalogue import DatasetInfo, Warehouse
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.vocabulary import BY_FOLDS, CLASS_MEANS, PROBE_WEIGHTS, Cell

Floats = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int64]
Vectors = Mapping[int, Floats]
"""By class its direction, of any length (width)."""


class Source(Protocol):
    """Gives directions of classes; `name` is what the lake calls them by."""

    @property
    def name(self) -> str: ...

    def at(self, wh: Warehouse, cell: Cell, states: Floats, classes: Classes) -> Vectors:
        """The directions at a cell; (n, width) are states of samples that may be learned of, [n]
        their classes."""
        ...


class ClassMeans:
    """The mean of a class' states less the mean of the other classes' means."""

    name = CLASS_MEANS

    def at(self, wh: Warehouse, cell: Cell, states: Floats, classes: Classes) -> Vectors:
        means = {int(c): states[classes == c].mean(axis=0) for c in np.unique(classes)}
        return _against_others(means)


@dataclass(frozen=True)
class ProbeWeights:
    """The weights of a class in the stored linear probe less the mean of the other classes'."""

    model_id: str
    dataset_id: str
    name: str = PROBE_WEIGHTS

    def at(self, wh: Warehouse, cell: Cell, states: Floats, classes: Classes) -> Vectors:
        rows = wh.sql(
            "SELECT c.class_index, c.coefficients FROM probe_coefficient AS c "
            "JOIN scored_probe AS p ON c.probe_id = p.probe_id "
            "WHERE p.model_id = $1 AND p.dataset_id = $2 AND p.module = $3 AND p.layer = $4 "
            "AND p.readout = $5 AND p.control = 'none'",
            [self.model_id, self.dataset_id, *cell],
        ).fetchall()
        if not rows:
            raise LayerhouseError(
                f"the lake holds no coefficients of the linear probe at {cell} of {self.model_id} "
                f"on {self.dataset_id}: `layerhouse probe --model {quote(self.model_id)} --dataset "
                f"{quote(self.dataset_id)} --coefficients` stores them"
            )
        return _against_others({index: np.array(vector, float) for index, vector in rows})


@dataclass(frozen=True)
class FromFile:
    """The vectors of a file, the same at every place; `name` holds the hash of what it says."""

    name: str
    vectors: Vectors

    def at(self, wh: Warehouse, cell: Cell, states: Floats, classes: Classes) -> Vectors:
        width = len(next(iter(self.vectors.values())))
        if width != states.shape[1]:
            raise UsageError(
                f"the directions of {self.name} are {width} wide and the states at {cell} "
                f"{states.shape[1]}; name loci of that width with --module and --layer"
            )
        return self.vectors


def source_of(
    request: SteerRequest, model_id: str, info: DatasetInfo
) -> ClassMeans | ProbeWeights | FromFile:
    """Raises UsageError for a file that does not say which vector is of which class, and for
    weights of probes under folds."""
    if request.direction == CLASS_MEANS:
        return ClassMeans()
    if not request.is_file:
        if info.evaluation == BY_FOLDS:
            raise UsageError(
                f"{info.dataset_id} is scored by folds: a probe there is one fit for each, and of "
                "none are weights stored; take --direction means, which are learned for each fold, "
                "or a file"
            )
        return ProbeWeights(model_id, info.dataset_id)
    path = Path(request.direction)
    labels = {row.label: row.index for row in info.classes}
    if request.label is not None and request.label not in labels:
        raise UsageError(
            f"{info.dataset_id} has no class {request.label!r}"
            f"{nearest(request.label, list(labels))}"
        )
    vectors = _by_class(_read(path), labels, request.label, path)
    for index, vector in vectors.items():
        with np.errstate(over="ignore"):
            length = np.linalg.norm(vector)
        if not 0 < length < np.inf:  # of not a number, neither holds
            raise LayerhouseError(
                f"{path}: the vector of class {list(labels)[index]} is no direction (its length is "
                "zero or not finite)"
            )
    mark = blake2b(digest_size=4)
    for index in sorted(vectors):
        mark.update(f"{index}:".encode() + vectors[index].tobytes())
    return FromFile(f"file:{path.stem}@{mark.hexdigest()}", vectors)


def _read(path: Path) -> dict[str, Floats]:
    """The arrays of a file, by name; that of an .npy has none."""
    try:
        if path.suffix.lower() == ".npy":
            return {"": _numbers(path)}
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return {k: v.double().numpy() for k, v in load_file(path).items()}
    except Exception as error:  # whatever the two say of a file that is not theirs
        raise LayerhouseError(
            f"cannot read directions from {path} ({error}); write them anew, an array of numbers "
            "by numpy.save, or as safetensors"
        ) from error
    raise UsageError(f"{path} is no .npy and no .safetensors, of which directions can be read")


def _numbers(path: Path) -> Floats:
    """Whatever numpy would read besides (pickled objects, archives, words) is refused."""
    with path.open("rb") as file:
        found = np.lib.format.read_array(file, allow_pickle=False)
    return found.astype(np.float64, casting="same_kind")


def _by_class(
    arrays: Mapping[str, Floats], labels: Mapping[str, int], label: str | None, path: Path
) -> dict[int, Floats]:
    if "" not in arrays and set(arrays) <= set(labels) and label is None:
        named = {labels[name]: array.squeeze() for name, array in arrays.items()}
        if all(a.ndim == 1 for a in named.values()) and len({len(a) for a in named.values()}) == 1:
            return named
    found = next(iter(arrays.values())) if len(arrays) == 1 else np.empty(0)
    others = sorted((set(arrays) & set(labels)) - {label}) if label is not None else []
    if others:
        raise UsageError(
            f"{path} says that it holds the vector of {others[0]}, and --label {label}; leave "
            "--label out, or give the tensor another name"
        )
    if label is not None and found.squeeze().ndim == 1 and found.size:
        return {labels[label]: found.squeeze()}
    if label is None and found.ndim == 2 and len(found) == len(labels):
        return dict(enumerate(found))
    held = ", ".join(f"{name} {array.shape}".strip() for name, array in arrays.items())
    raise UsageError(
        f"{path} ({held}) does not say which vector is of which class: give one row per class in "
        f"the order of the dataset ({len(labels)} rows), a .safetensors with a vector by each "
        "class' label, or one vector with --label"
    )


def _against_others(vectors: Vectors) -> Vectors:
    total, n = sum(vectors.values()), len(vectors)
    return {index: v - (total - v) / max(n - 1, 1) for index, v in vectors.items()}
