"""drop: a share of the image tokens is gone."""

import torch
from torch import Tensor

from extract.faults.effects import ActivationFault, Strike
from extract.faults.fault import Severity
from warehouse.vocabulary import CONNECTOR


class Drop(ActivationFault):
    """A share of the image tokens, drawn anew for every sample, becomes zero."""

    name = "drop"
    severity = Severity("share of image tokens set to zero", default=0.5)
    only_image_tokens = True
    trial_stages = (CONNECTOR,)
    trial_severities = (0.5, 0.8, 0.95)

    def change_rows(self, rows: Tensor, strike: Strike) -> Tensor:
        order = torch.randperm(rows.shape[0], generator=strike.generator)
        dropped = order[: round(strike.severity * rows.shape[0])].to(rows.device)
        return rows.index_fill(0, dropped, 0.0)
