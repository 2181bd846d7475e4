"""head: a share of the classes answer for each other."""

from collections.abc import Sequence

from extract.faults.effects import LabelFault
from extract.faults.fault import Fault, Severity
from extract.faults.label_tokens import cycle_of


class Head(LabelFault):
    """The tokens that tell struck classes apart change places in a cycle; at least two do."""

    name = "head"
    severity = Severity("share of classes whose label tokens change places", default=1)
    destroying = True

    def permutation(self, fault: Fault, phrases: Sequence[Sequence[int]]) -> dict[int, int]:
        return cycle_of(fault, phrases)
