"""Label tokens: which of them get whose score under faults of the answer."""

from collections.abc import Iterable, Sequence

from extract.faults.effects import LabelFault
from extract.faults.fault import Fault


def label_permutation(faults: Iterable[Fault], phrases: Sequence[Sequence[int]]) -> dict[int, int]:
    """Token id → the id whose score it gets under all faults together; the last one strikes first.

    `phrases` are the class phrases' tokens.
    """
    permuted: dict[int, int] = {}
    for fault in faults:
        if isinstance(fault.kind, LabelFault):
            one = fault.kind.permutation(fault, phrases)
            before = {token: permuted.get(token, token) for token in [*permuted, *one]}
            permuted = {token: one.get(source, source) for token, source in before.items()}
    return permuted
