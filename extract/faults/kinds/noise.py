"""noise: every token is blurred."""

import torch
from torch import Tensor

from extract.faults.effects import ActivationFault, Strike
from extract.faults.fault import Severity


class Noise(ActivationFault):
    """Independent normal noise, `severity` times the standard deviation of the sample's rows."""

    name = "noise"
    severity = Severity("standard deviations of noise on every token", default=4, high=1e6)
    trial_severities = (1.0, 4.0, 8.0)

    def change_rows(self, rows: Tensor, strike: Strike) -> Tensor:
        drawn = torch.randn(rows.shape, generator=strike.generator).to(rows.device)
        return rows + drawn * rows.std() * strike.severity
