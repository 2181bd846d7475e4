"""Donors: the images whose activations take the place of others'."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from extract.faults.fault import Fault
from extract.models import Inputs

SampleRow = tuple[str, str, int]
"""(sample_id, split, class_index)"""


@dataclass(frozen=True)
class DonorBatch:
    """The donors of a batch, for one fault.

    `rows[i]` is the sample of the batch that gets the activations of the i-th donor; `inputs` are
    the donors' own inputs on the CPU, of the same sizes as those of the samples they stand in for.
    """

    rows: Sequence[int]
    inputs: Inputs


def choose_donors(fault: Fault, samples: Iterable[SampleRow]) -> dict[str, str]:
    """Choose struck samples and their donors among those of a whole dataset.

    In every split exactly the share is struck (rounded), spread evenly over its classes, so that a
    swap's expected loss is its share times what an unrelated image costs. A donor is any other
    sample of the same split.
    """
    by_split: dict[str, list[tuple[str, int]]] = {}
    for sample_id, split, class_index in samples:
        by_split.setdefault(split, []).append((sample_id, class_index))
    donors: dict[str, str] = {}
    for split, members in by_split.items():
        members.sort()
        struck = _spread(fault, split, members)[: round(fault.severity * len(members))]
        for index in struck if len(members) > 1 else []:
            sample_id = members[index][0]
            other = fault.random("donor", sample_id).randrange(len(members) - 1)
            donors[sample_id] = members[other + (other >= index)][0]
    return donors


def _spread(fault: Fault, split: str, members: list[tuple[str, int]]) -> list[int]:
    """All members in an order any beginning of which holds about equal shares of every class."""
    by_class: dict[int, list[int]] = {}
    for index, (_, class_index) in enumerate(members):
        by_class.setdefault(class_index, []).append(index)
    ranked = []
    for class_index, indices in by_class.items():
        fault.random("struck", split, class_index).shuffle(indices)
        ranked += [((r + 0.5) / len(indices), class_index, i) for r, i in enumerate(indices)]
    return [index for _, _, index in sorted(ranked)]
