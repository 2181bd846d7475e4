"""damage: the weights of a stage are blurred; those of the answer change places."""

from typing import Any

import torch

from extract.anatomy import Anatomy
from extract.faults.effects import Phrases, WeightFault, seeded
from extract.faults.fault import Fault, Severity
from extract.faults.label_tokens import cycle_of
from extract.faults.matrices import struck_matrices
from extract.models import untie
from warehouse.errors import UsageError
from warehouse.vocabulary import ANSWER, STAGES


class Damage(WeightFault):
    """Independent normal noise on every matrix of a stage, or of one block of it, `severity` times
    the standard deviation of that matrix. At the answer, the head's rows of a share of the classes'
    label tokens change places in a cycle, at least two of them.
    """

    name = "damage"
    severity = Severity(
        "standard deviations of noise on every matrix (at the answer the share of classes whose "
        "label tokens' rows of the head change places)",
        default=1,
        high=1e6,
    )
    stages = STAGES

    @torch.no_grad()
    def change(self, fault: Fault, model: Any, anatomy: Anatomy, phrases: Phrases) -> None:
        if fault.stage == ANSWER:
            _permute(fault, model, anatomy, phrases)
            return
        for name, weight in struck_matrices(fault, model, anatomy).items():
            drawn = torch.randn(weight.shape, generator=seeded(fault, name))
            weight.add_((drawn * fault.severity * float(weight.float().std())).to(weight))


def _permute(fault: Fault, model: Any, anatomy: Anatomy, phrases: Phrases) -> None:
    if fault.severity > 1:
        raise UsageError(f"the severity of {fault} is a share of classes, at most 1")
    cycle = cycle_of(fault, phrases)
    untie(model)  # words are read as they were
    head = model.get_submodule(anatomy.head)
    for rows in head.parameters():
        rows[list(cycle)] = rows[list(cycle.values())]
