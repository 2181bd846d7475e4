"""lowrank: the matrices of a stage tell few directions of what they are given apart."""

from typing import Any

import torch

from extract.anatomy import Anatomy
from extract.faults.effects import Phrases, WeightFault, seeded
from extract.faults.fault import Fault, Severity
from extract.faults.matrices import struck_matrices


class LowRank(WeightFault):
    """Every matrix of a stage, or of one block of it, is brought down to rank `severity`: what it
    is given counts along so many random directions alone, and all else of it is lost there.
    """

    name = "lowrank"
    severity = Severity(
        "random directions that every matrix is left with", default=1, low=1, high=1e6, whole=True
    )

    @torch.no_grad()
    def change(self, fault: Fault, model: Any, anatomy: Anatomy, phrases: Phrases) -> None:
        for name, weight in struck_matrices(fault, model, anatomy).items():
            # Of a convolution all of a place is one direction; experts lie one behind the other.
            matrix = weight.float() if weight.dim() == 3 else weight.float().flatten(1)
            width, generator = matrix.shape[-1], seeded(fault, name)
            # One by one, so that of one seed fewer directions are some of more.
            drawn = [
                torch.randn(width, generator=generator)
                for _ in range(min(int(fault.severity), width))
            ]
            basis = torch.linalg.qr(torch.stack(drawn, dim=1)).Q.to(matrix.device)
            weight.copy_((matrix @ basis @ basis.T).reshape(weight.shape).to(weight))
