"""swap: a share of the samples shows another image."""

from collections.abc import Iterable

from extract.faults.donors import SampleRow, choose_donors
from extract.faults.effects import DonorFault
from extract.faults.fault import Fault, Severity


class Swap(DonorFault):
    """Struck samples get the activations of another image of their split, whatever its class."""

    name = "swap"
    severity = Severity("share of samples that get another image's activations", default=1)
    destroying = True
    has_closed_form = True

    def donors(self, fault: Fault, samples: Iterable[SampleRow]) -> dict[str, str]:
        return choose_donors(fault, samples)
