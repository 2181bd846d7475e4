"""Label tokens: which of them get whose score under faults of the answer."""

from collections.abc import Iterable, Sequence

from extract.answering import telling_tokens
from extract.faults.effects import LabelFault
from extract.faults.fault import Fault
from warehouse.errors import UsageError


def cycle_of(fault: Fault, phrases: Sequence[Sequence[int]]) -> dict[int, int]:
    """Token id → the next in a cycle of the tokens that tell a share of the classes apart.

    The share is the fault's severity; at least two classes are struck. Each class is told by its
    first token that no other class shares at its place. Raises UsageError for fewer than two.
    """
    tokens = list(dict.fromkeys(telling_tokens(phrases)))
    if len(tokens) < 2:
        raise UsageError(f"{fault} needs at least two classes with different label tokens")
    order = fault.random("classes").sample(tokens, len(tokens))
    struck = order[: max(2, round(fault.severity * len(tokens)))]
    return dict(zip(struck, struck[1:] + struck[:1], strict=True))


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
