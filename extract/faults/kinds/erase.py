"""erase: a share of the samples loses all that tells classes apart linearly.

A shifting kind: on real images later layers still read the rest.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from extract.anatomy import Locus
from extract.faults.effects import Labelled, LearningFault, Strike
from extract.faults.erasure import Base, learn_differences
from extract.faults.fault import Fault, Severity
from extract.models import Session
from warehouse.errors import LayerhouseError

MOST_SAMPLES = 512
"""Train samples an erasure is learned from, at most."""


class Erase(LearningFault):
    """The class means' differences are projected out of struck samples, token by token.

    Afterwards all classes have the same mean at every token, so no linear readout beats a constant
    in the least-squares sense: the least-squares form of concept erasure (Belrose et al. 2023,
    LEACE, without its whitening).
    """

    name = "erase"
    severity = Severity("share of samples whose tokens lose what tells classes", default=1)
    trial_severities = (0.3, 0.6, 0.8)

    def strikes(self, fault: Fault, sample_id: str) -> bool:
        return fault.random("struck", sample_id).random() < fault.severity

    def change_rows(self, rows: Tensor, strike: Strike) -> Tensor:
        means, basis = (part.to(rows.device) for part in strike.learned)
        if means.shape != rows.shape:
            raise LayerhouseError(
                f"erase was fitted on activations of shape {tuple(means.shape)} and meets "
                f"{tuple(rows.shape)}; it needs images that all give equally many tokens"
            )
        inside = torch.einsum("td,tdk->tk", rows - means, basis)
        return rows - torch.einsum("tk,tdk->td", inside, basis)

    def learns_from(self, fault: Fault, order: Sequence[str]) -> Sequence[str]:
        """The first of the order; with a seed, a random four fifths, so that seeds differ in what
        they take out.
        """
        if not fault.seed:
            return order[:MOST_SAMPLES]
        drawn = fault.random("learned").sample(list(order), max(len(order) * 4 // 5, 1))
        return drawn[:MOST_SAMPLES]

    def learn(
        self, fault: Fault, session: Session, site: Locus, batches: Iterable[Labelled]
    ) -> list[Base]:
        return learn_differences(session, fault, site, self.strikes_all_rows(fault), batches)
