"""head: a share of the classes answer for each other."""

from collections.abc import Sequence

from extract.answering import telling_tokens
from extract.faults.effects import LabelFault
from extract.faults.fault import Fault, Severity
from warehouse.errors import UsageError


class Head(LabelFault):
    """The tokens that tell struck classes apart change places in a cycle; at least two do.

    Each class is told by its first token that no other class shares at its place.
    """

    name = "head"
    severity = Severity("share of classes whose label tokens change places", default=1)
    destroying = True

    def permutation(self, fault: Fault, phrases: Sequence[Sequence[int]]) -> dict[int, int]:
        tokens = list(dict.fromkeys(telling_tokens(phrases)))
        if len(tokens) < 2:
            raise UsageError("a head fault needs at least two classes with different label tokens")
        order = fault.random("classes").sample(tokens, len(tokens))
        struck = order[: max(2, round(fault.severity * len(tokens)))]
        return dict(zip(struck, struck[1:] + struck[:1], strict=True))
