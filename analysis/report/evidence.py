"""Where in an image its class is readable: what an attentive probe finds in each image token."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from analysis.probes import AttentiveReader
from analysis.report.palette import AGAINST, FOR
from warehouse.errors import LayerhouseError

if TYPE_CHECKING:
    import polars as pl

Row = Mapping[str, Any]
ReadTokens: TypeAlias = "Callable[[str, int, list[str]], pl.DataFrame]"
"""Of a module, a layer and samples the image tokens in order: sample_id, row, column, vector."""

STRONGEST = 190
"""The opacity of the strongest token of 255: the image still shows through."""


@dataclass(frozen=True)
class EvidenceMap:
    """What the image tokens of one sample say for its class at one place.

    evidence: [rows, columns], NaN where no token is. `is_read`: whether the probe names the class;
    `fits`: whether the tokens' grid has the shape of the image, so that one can lie on the other.
    """

    place: str
    evidence: NDArray[np.float64]
    strongest: float
    """Of all maps of that place, which share one scale."""
    is_read: bool
    fits: bool

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.evidence.shape
        return rows, columns

    @property
    def peak(self) -> tuple[int, int]:
        """Row and column, from 1, of what says most for the class."""
        row, column = divmod(int(np.nanargmax(self.evidence)), self.evidence.shape[1])
        return row + 1, column + 1

    @property
    def picture(self) -> str:
        """One pixel a token, as a data URI: a colour for and one against, as opaque as strong."""
        strength = np.nan_to_num(self.evidence) / self.strongest
        pixels = np.empty((*self.shape, 4), dtype=np.uint8)
        pixels[..., :3] = np.where(strength[..., None] > 0, FOR, AGAINST)
        pixels[..., 3] = (STRONGEST * np.abs(strength)).round()
        buffer = io.BytesIO()
        Image.fromarray(pixels, "RGBA").save(buffer, "PNG", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@dataclass(frozen=True)
class EvidenceMaps:
    """The maps of samples in pipeline order, by sample; and the places that cannot be drawn."""

    of: Mapping[str, list[EvidenceMap]]
    places: list[str]
    placeless: list[str]


def evidence_maps(
    readers: Sequence[Row], samples: Sequence[Row], read_tokens: ReadTokens
) -> EvidenceMaps:
    """The maps of samples, each for its own class.

    readers: rows of `evidence_readers`; samples: sample_id, class_index, fold (None under a split),
    width, height. Under folds a sample is read by the probe that saw nothing of its fold. Raises
    LayerhouseError for a probe or for places that cannot be.
    """
    of: dict[str, list[EvidenceMap]] = {row["sample_id"]: [] for row in samples}
    places: list[str] = []
    placeless: list[str] = []
    for reader in readers if samples else ():
        place = f"{reader['module']} {reader['layer']}"
        tokens = read_tokens(reader["module"], reader["layer"], list(of))
        if tokens["row"].null_count() == len(tokens):
            placeless.append(place)
            continue
        try:
            found = _read(_by_fold(json.loads(reader["chosen"])), samples, tokens)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise LayerhouseError(
                f"the image tokens kept at {place}, or the attentive probe of them, are not what "
                "Layerhouse writes; `layerhouse validate` says what is wrong"
            ) from error
        if not found:
            continue
        strongest = max(np.nanmax(np.abs(grid)) for _, grid, _ in found)
        places.append(place)
        for sample, grid, is_read in found:
            fits = _fits(grid.shape, sample)
            of[sample["sample_id"]].append(
                EvidenceMap(place, grid, float(strongest) or 1.0, is_read, fits)
            )
    return EvidenceMaps(of, places, placeless)


def _by_fold(chosen: Mapping[str, Any]) -> dict[int | None, AttentiveReader]:
    """The probe of each fold's samples, or of all samples under a split, which have none."""
    fits = dict(enumerate(chosen["folds"])) if "folds" in chosen else {None: chosen}
    return {fold: AttentiveReader.of_json(fit["reader"]) for fold, fit in fits.items()}


def _read(
    readers: Mapping[int | None, AttentiveReader], samples: Iterable[Row], tokens: pl.DataFrame
) -> list[tuple[Row, NDArray[np.float64], bool]]:
    """Of the samples whose tokens are kept, and whose class train showed: the grid of evidence,
    and whether the probe names the class."""
    held = {str(name): rows for (name,), rows in tokens.group_by("sample_id", maintain_order=True)}
    found = []
    for sample in samples:
        if sample["sample_id"] not in held or sample["fold"] not in readers:
            continue
        rows, reader = held[sample["sample_id"]], readers[sample["fold"]]
        vectors = rows["vector"].explode().to_numpy().reshape(len(rows), -1)
        evidence = reader.evidence(vectors, sample["class_index"])
        if evidence is None:
            continue
        named = reader.named(vectors) == sample["class_index"]
        placed = rows["row"].is_not_null().to_numpy()
        at = rows.filter(placed).select("row", "column").to_numpy()
        if at.min() < 0 or at.max() >= len(rows):
            raise ValueError("places outside of any grid of so many tokens")
        grid = np.full(at.max(axis=0) + 1, np.nan)
        grid[at[:, 0], at[:, 1]] = evidence[placed]
        found.append((sample, grid, named))
    return found


def _fits(shape: tuple[int, ...], sample: Row) -> bool:
    """Whether a grid over the whole image would have that many rows, give or take less than one.

    Where it would not, the model was shown a part of the image, or more than it, or its shape was
    changed, and nothing here says which.
    """
    if not sample["width"] or not sample["height"]:
        return False
    return bool(abs(shape[1] * sample["height"] / sample["width"] - shape[0]) < 1)
