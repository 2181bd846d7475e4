"""rank: all tokens lie in a few directions."""

import torch
from torch import Tensor

from extract.faults.effects import ActivationFault, Strike
from extract.faults.fault import Severity
from warehouse.vocabulary import CONNECTOR


class Rank(ActivationFault):
    """Every token is projected on the same few random directions."""

    name = "rank"
    severity = Severity("directions every token is squeezed into", 1, low=1, high=1e6, whole=True)
    trial_stages = (CONNECTOR,)
    trial_severities = (8.0, 2.0, 1.0)

    def change_rows(self, rows: Tensor, strike: Strike) -> Tensor:
        width = rows.shape[1]
        directions = torch.randn(width, min(int(strike.severity), width), generator=strike.fixed)
        basis = torch.linalg.qr(directions).Q.to(rows.device)
        return rows @ basis @ basis.T
