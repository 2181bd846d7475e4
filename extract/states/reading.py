"""Vectors out of files: tensors of pooled states, or token sequences that are pooled here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.states.manifests import ALL, Requests, StatesFolder
from extract.states.places import TensorPlace
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import LLM, READOUTS, Cell

Matrix = NDArray[np.float32]

FLOATS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""What of safetensors' types float32 holds without loss."""
STATES, TOKENS = "hidden_states", "token_ids"
"""The tensors of a vLLM request: [tokens, layers, width], and [tokens]."""


def widths(manifest: StatesFolder) -> dict[Cell, int]:
    """How many numbers a vector of each cell has.

    Raises LayerhouseError for a file that cannot be read and for a tensor that is not of floating
    numbers, [samples, width], one row for each sample; and where readouts of a locus do not fit to
    each other.
    """
    if manifest.requests is not None:
        width = _shared_width(manifest)
        return {place.cell: width for place in manifest.places}
    found = {place.cell: _width(manifest, place) for place in manifest.places}
    loci: dict[tuple[str, int], tuple[int, Cell]] = {}
    for place in manifest.places:
        cell, length = place.cell, found[place.cell]
        if other := [said for said in place.lengths if said != length]:
            raise LayerhouseError(
                f"{manifest.file} says that the vectors of {cell} have {other[0]:,} numbers, and "
                f"{_called(place.file, place.tensor)} has {length:,}"
            )
        slots = READOUTS[cell.readout].slots
        if not length or length % slots:
            raise LayerhouseError(
                f"the vectors of {cell} have {length:,} numbers, which are not {slots} equal parts"
            )
        width, first = loci.setdefault((cell.module, cell.layer), (length // slots, cell))
        if width != length // slots:
            raise LayerhouseError(
                f"{first} and {cell} are of one locus and say that it has {width:,} and "
                f"{length // slots:,} numbers"
            )
    return found


def _width(manifest: StatesFolder, place: TensorPlace) -> int:
    with _opened(place.file, place.tensor) as (rows, dtype):
        shape = tuple(rows.shape) if isinstance(rows, np.ndarray) else tuple(rows.get_shape())
        what = _called(place.file, place.tensor)
        _refuse_type(what, dtype)
        if len(shape) != 2 or shape[0] != len(manifest.samples):
            raise LayerhouseError(
                f"{what} is of the shape {list(shape)}, and the manifest names "
                f"{len(manifest.samples):,} samples: it must be [samples, width], a tensor for "
                "each layer; whole token sequences are taken as vLLM writes them, and else have to "
                "be pooled first"
            )
        return int(shape[1])


def read_rows(manifest: StatesFolder, start: int, stop: int) -> dict[Cell, Matrix]:
    """The vectors of the samples start … stop-1 of the manifest, in its order, float32 [samples,
    width] of each cell. Raises LayerhouseError for numbers that are not finite, and as `widths`."""
    if manifest.requests is not None:
        found = _pooled(manifest, manifest.requests, start, stop)
    else:
        found = {place.cell: _rows(place, start, stop) for place in manifest.places}
    for place in manifest.places:
        finite = np.isfinite(found[place.cell]).all(axis=1)
        if not finite.all():
            sample = manifest.samples[start + int(np.argmin(finite))]
            raise LayerhouseError(
                f"{place.cell} of {manifest.folder} holds NaN or Inf for the sample {sample}; "
                "extract it again in a wider type, or leave the sample out"
            )
    return found


def _rows(place: TensorPlace, start: int, stop: int) -> Matrix:
    with _opened(place.file, place.tensor) as (rows, _):
        taken: Any = rows[start:stop]
        if not isinstance(taken, np.ndarray):
            taken = taken.float().numpy()
        return np.ascontiguousarray(taken, dtype=np.float32)


@contextmanager
def _opened(file: Path, tensor: str | None) -> Iterator[tuple[Any, str]]:
    """The rows of a tensor or array, sliced without reading the rest, and their type."""
    with _read(file):
        if file.suffix == ".npy":
            array = np.load(file, mmap_mode="r", allow_pickle=False)
            yield array, str(array.dtype.newbyteorder("="))
            return
        from safetensors import safe_open

        with safe_open(file, framework="pt") as held:
            names = sorted(held.keys())
            if tensor not in names:
                known = ", ".join(names[:5]) or "none"
                raise LayerhouseError(f"{file} has no tensor {tensor!r}; it has {known}")
            rows = held.get_slice(tensor)
            dtype = rows.get_dtype()
            yield rows, FLOATS.get(dtype, dtype)


@contextmanager
def _read(file: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, OSError, ValueError, EOFError) as error:
        why = "; ".join(str(error).split("\n"))[:200]
        raise LayerhouseError(
            f"{file} cannot be read ({why}); it may be cut off: copy or write it again"
        ) from error


def _called(file: Path, tensor: str | None) -> str:
    return f"{tensor} of {file}" if tensor else str(file)


def _refuse_type(what: str, dtype: str) -> None:
    if dtype not in ("float32", "float16", "bfloat16"):
        raise LayerhouseError(
            f"{what} holds {dtype} where a lake keeps float32, which holds float16, bfloat16 and "
            "float32 as they are; convert it to one of these"
        )


def _sequence(requests: Requests, file: Path) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The states of a request [tokens, layers, width], as they are, and its tokens."""
    import torch
    from safetensors import safe_open

    with _read(file), safe_open(file, framework="pt") as held:
        if not {STATES, TOKENS} <= set(held.keys()):
            raise LayerhouseError(
                f"{file} is no request as vLLM writes it: it lacks {STATES} or {TOKENS}"
            )
        dtype = held.get_slice(STATES).get_dtype()
        _refuse_type(f"{STATES} of {file}", FLOATS.get(dtype, dtype))
        states, tokens = held.get_tensor(STATES), held.get_tensor(TOKENS)
    n = len(requests.layers)
    if states.ndim != 3 or states.shape[1] != n or tokens.shape != states.shape[:1]:
        raise LayerhouseError(
            f"{STATES} of {file} are of the shape {list(states.shape)} with {list(tokens.shape)} "
            f"tokens where [tokens, {n} layers, width] is meant; vllm.layers must name the layers "
            "that were extracted"
        )
    if not len(tokens):
        raise LayerhouseError(f"{file} holds the states of no token; extract that request again")
    return states.to(torch.float32).numpy(), tokens.numpy().astype(np.int64)


def _pooled(
    manifest: StatesFolder, requests: Requests, start: int, stop: int
) -> dict[Cell, Matrix]:
    """Sequences pooled as our readouts are: the final token, and the average of the image's."""
    width = _shared_width(manifest)
    found: dict[Cell, Matrix] = {
        place.cell: np.empty((stop - start, width), np.float32) for place in manifest.places
    }
    for row, file in enumerate(requests.files[start:stop]):
        states, tokens = _sequence(requests, file)
        if states.shape[2] != width:
            raise LayerhouseError(
                f"the states of {file} have {states.shape[2]:,} numbers, and those of "
                f"{requests.files[0].name} {width:,}; they are of two models"
            )
        averaged = _averaged(requests, file, tokens)
        for at, layer in enumerate(requests.layers):
            found[Cell(LLM, layer - 1, "last")][row] = states[-1, at]
            if averaged is not None:
                found[Cell(LLM, layer - 1, "mean")][row] = states[averaged, at].mean(axis=0)
    return found


def _shared_width(manifest: StatesFolder) -> int:
    """That of the first request, which all others share."""
    assert manifest.requests is not None
    return int(_sequence(manifest.requests, manifest.requests.files[0])[0].shape[2])


def _averaged(
    requests: Requests, file: Path, tokens: NDArray[np.int64]
) -> NDArray[np.bool_] | None:
    """Which tokens an average is over; None where there is none to be taken."""
    if requests.mean_over == ALL:
        return np.ones(len(tokens), dtype=bool)
    if requests.image_token_id is None:
        return None
    found: NDArray[np.bool_] = tokens == requests.image_token_id
    if not found.any():
        raise LayerhouseError(
            f"{file} has no token {requests.image_token_id}, which the manifest calls the image's; "
            "the model's config.json names it (image_token_id)"
        )
    return found
