"""Where vectors lie: the files that a manifest may name, and which of their tensors a cell is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.errors import LayerhouseError
from warehouse.files import inside
from warehouse.untrusted import UnfitError
from warehouse.vocabulary import (
    CLASS_TOKEN,
    IMAGE_TOKENS,
    LLM,
    READOUTS,
    VISION,
    Cell,
    ReadoutFacts,
)

BLOCK = "block"
PLAIN = tuple(name for name, facts in READOUTS.items() if facts.slots)
PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib")
READ = (".safetensors", ".npy")


@dataclass(frozen=True)
class TensorPlace:
    """Where the vectors of a cell lie, and what is known of its locus; `lengths` are how many
    numbers a vector has by what the manifest says of that."""

    cell: Cell
    file: Path
    tensor: str | None
    kind: str
    path: str
    on_path: bool
    lengths: tuple[int, ...] = ()


def refuse_pickle(file: Path) -> None:
    """Raise LayerhouseError for a kind of file that runs what it holds when it is read."""
    if file.suffix.lower() in PICKLES:
        raise LayerhouseError(
            f"{file} may be a pickle, which runs what it holds when it is read, and is not opened; "
            "where you trust it write it as safetensors: "
            "safetensors.torch.save_file(torch.load(FILE, weights_only=True), NAME)"
        )


def file_in(folder: Path, name: str, suffixes: tuple[str, ...] = READ) -> Path:
    found = inside(folder, name)
    refuse_pickle(found)
    if found.suffix not in suffixes:
        ways = {
            ".npz": "; save each of its arrays with numpy.save",
            ".zst": "; unpack it with zstd -d and name what comes out",
        }
        raise UnfitError(f"{name} is none of {', '.join(suffixes)}{ways.get(found.suffix, '')}")
    if not found.is_file():
        raise UnfitError(f"it names {name}, which is not there")
    return found


def places_said(folder: Path, said: list[dict[str, Any]]) -> tuple[TensorPlace, ...]:
    """Where loci lie by what a manifest says of each. Raises UnfitError where that cannot be."""
    places = [
        TensorPlace(
            Cell(one["module"], one["layer"], one["readout"]),
            file_in(folder, one["file"]),
            one.get("tensor"),
            one.get("kind", BLOCK),
            one.get("path", f"layers.{one['layer']}"),
            one.get("on_path", True),
            _lengths(one),
        )
        for one in said
    ]
    cells = [place.cell for place in places]
    if not cells:
        raise UnfitError("it names no loci")
    for at, cell in enumerate(cells):
        if cell in cells[:at]:
            raise UnfitError(f"it names {cell} twice")
        if not _has(cell.module, READOUTS[cell.readout]):
            own = ", ".join(name for name in PLAIN if _has(cell.module, READOUTS[name]))
            raise UnfitError(
                f"{cell} is nowhere in a model; the readouts of {cell.module} are {own}"
            )
    _refuse_same(places)
    for place in places:
        if place.file.suffix == ".safetensors" and place.tensor is None:
            raise UnfitError(f"it does not say which tensor of {place.file.name} is {place.cell}")
        about = {(p.kind, p.path, p.on_path) for p in places if p.cell[:2] == place.cell[:2]}
        if len(about) > 1:
            raise UnfitError(f"it says two things of {place.cell.module} layer {place.cell.layer}")
    for module in {cell.module for cell in cells}:
        if not any(place.on_path for place in places if place.cell.module == module):
            raise UnfitError(f"no locus of {module} is on the answer's path")
    return tuple(places)


def _has(module: str, readout: ReadoutFacts) -> bool:
    """Whether models have it there: all have the image's tokens, a tower those of its own."""
    if readout.reads == IMAGE_TOKENS:
        return True
    return module == (VISION if readout.reads == CLASS_TOKEN else LLM)


def _lengths(said: Mapping[str, Any]) -> tuple[int, ...]:
    slots = {"length": 1, "width": READOUTS[said["readout"]].slots}
    return tuple(said[name] * times for name, times in slots.items() if name in said)


def _refuse_same(places: list[TensorPlace]) -> None:
    """A line that was copied and not changed would show one locus as another."""
    held: dict[tuple[Path, str | None], TensorPlace] = {}
    for place in places:
        key = place.file, place.tensor if place.file.suffix == ".safetensors" else None
        if (first := held.setdefault(key, place)) is not place:
            what = f"{place.tensor} of {place.file.name}" if key[1] else place.file.name
            raise UnfitError(f"it says that {what} is both {first.cell} and {place.cell}")
