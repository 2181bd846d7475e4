"""Cells of equal width that lack the same targets, as many together as memory allows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from analysis.probes.activations import Samples
from analysis.probes.probe_kind import ProbeKind
from analysis.probes.targets import Target
from warehouse.vocabulary import Cell


@dataclass(frozen=True)
class Chunk:
    """Cells whose vectors are equally wide, and the targets that all of them lack."""

    cells: tuple[Cell, ...]
    targets: tuple[Target, ...]


def chunks(
    lacking: Mapping[Cell, tuple[Target, ...]],
    widths: Mapping[Cell, int],
    samples: Samples,
    kind: ProbeKind,
    workers: int,
) -> Iterator[Chunk]:
    """Chunks of one module each, small enough that every worker has one.

    lacking: the targets that each cell lacks; widths: of each cell's vectors.
    """
    groups: dict[tuple[str, int, tuple[Target, ...]], list[Cell]] = {}
    for cell, targets in lacking.items():
        if targets:
            groups.setdefault((cell.module, widths[cell], targets), []).append(cell)
    for (_, width, targets), cells in groups.items():
        most = kind.most_cells(len(samples.ids), width, len(targets))
        for some in parts(cells, min(most, -(-len(cells) // workers))):
            yield Chunk(tuple(some), targets)


def parts(cells: Sequence[Cell], most: int) -> Iterator[Sequence[Cell]]:
    """Cells in their order, `most` at a time but at least one."""
    size = max(1, most)
    for start in range(0, len(cells), size):
        yield cells[start : start + size]
