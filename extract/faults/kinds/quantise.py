"""quantise: activations keep a few bits."""

from torch import Tensor

from extract.faults.effects import ActivationFault, Strike
from extract.faults.fault import Severity
from warehouse.vocabulary import CONNECTOR


class Quantise(ActivationFault):
    """Values are rounded to 2^bits even steps between the sample's extremes."""

    name = "quantise"
    severity = Severity("bits per activation", default=2, low=1, high=16, whole=True)
    trial_stages = (CONNECTOR,)
    trial_severities = (4.0, 2.0, 1.0)

    def change_rows(self, rows: Tensor, strike: Strike) -> Tensor:
        low, high = rows.min(), rows.max()
        step = ((high - low) / (2 ** int(strike.severity) - 1)).clamp(min=1e-12)
        return ((rows - low) / step).round() * step + low
