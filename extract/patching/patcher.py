"""The patcher: one batch of a receiver, run with donors' states at every place that is wanted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from extract.anatomy import Locus
from extract.patching.donations import Donation, SameNorm
from extract.patching.intervention import Wanted, how_done
from extract.patching.sides import Run, Side
from extract.patching.splicing import States, putting
from extract.running import Prepared
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import ELSEWHERE_PATCH, NOISE_PATCH


@dataclass(frozen=True)
class Effect:
    """What a receiver answers where a donor's states stand at a place, sample by sample.

    `names` are the samples [n]; `patched`, `own` and `donors` are log-probabilities of all classes
    fp32 (n, classes): with the patch, without it, and what the donor itself answers.
    """

    locus: Locus
    tokens: str
    control: str
    names: Sequence[str]
    patched: Tensor
    own: Tensor
    donors: Tensor
    donation: Donation


@dataclass
class Patcher:
    """Runs batches of `receiver`; `partners` are the loci whose states stand in for a locus' own as
    a control, by its name. `passes` counts how often single samples ran through a model.
    """

    receiver: Side
    donations: Sequence[Donation]
    partners: Mapping[str, Locus] = field(default_factory=dict)
    noise: SameNorm = field(default_factory=SameNorm)
    passes: int = 0

    def effects(self, prepared: Prepared, given: Prepared, wanted: Wanted) -> Iterator[Effect]:
        """The effects of all that is wanted on a batch; `given` is the same batch as prepared for
        the donors' side.

        Raises LayerhouseError where the two lay out their tokens differently.
        """
        names = prepared.sample_ids
        own: Tensor | None = None
        for donation in self.donations:
            due = [(locus, put) for locus, put in wanted if _of(donation, put)]
            if not due:
                continue
            batch = given if donation.is_other_model else prepared
            with donation.side.running(batch.of(donation.way), names) as run:
                answered, states = run.given(self._sources(due))
                self.passes += run.passes * len(names)
            with self.receiver.running(prepared.of(None), names) as receiving:
                self._refuse_other_layout(receiving, run)
                own = receiving.said() if own is None else own
                for locus, put in due:
                    for tokens, control in _of(donation, put):
                        edits = {locus.name: self._edit(receiving, locus, tokens, control, states)}
                        yield Effect(
                            *(locus, tokens, control, names),
                            *(receiving.said(edits), own, answered, donation),
                        )
                self.passes += receiving.passes * len(names)

    def _sources(self, due: Wanted) -> list[Locus]:
        """The loci whose states are put somewhere."""
        found = {locus.name: locus for locus, _ in due}
        for locus, put in due:
            if any(how_done(one)[1] == ELSEWHERE_PATCH for one in put):
                partner = self.partners[locus.name]
                found[partner.name] = partner
        return list(found.values())

    def _edit(
        self, receiving: Run, locus: Locus, tokens: str, control: str, states: Mapping[str, States]
    ) -> Any:
        source = self.partners[locus.name] if control == ELSEWHERE_PATCH else locus
        change = self.noise.change(locus, receiving.names) if control == NOISE_PATCH else None
        return putting(receiving.facts, locus, tokens, states[source.name], change)

    def _refuse_other_layout(self, receiving: Run, run: Run) -> None:
        if receiving.facts.signature != run.facts.signature:
            raise LayerhouseError(
                f"the donor lays out the tokens of {receiving.names[0]} and others of its batch "
                "otherwise than the receiver: states fit only where both have the same "
                "preprocessing and prompt"
            )


def _of(donation: Donation, put: Sequence[str]) -> list[tuple[str, str]]:
    """What of this comes from a donation, as (tokens, control)."""
    pairs = map(how_done, put)
    return [(tokens, control) for tokens, control in pairs if control in donation.controls]
