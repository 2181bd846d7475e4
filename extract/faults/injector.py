"""Injection: puts faults into a running model, through the loci found from its structure."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from extract.anatomy import Locus
from extract.faults.edit_hooks import capture, permuting
from extract.faults.effects import Injection, SiteFault, StruckBatch
from extract.faults.fault import Fault
from extract.faults.label_tokens import label_permutation
from extract.faults.sites import site_of
from extract.models import Session
from warehouse.errors import UsageError
from warehouse.vocabulary import LLM


class Injector:
    """Applies faults to every batch that is run inside `striking`.

    `phrases` are the class phrases' tokens; `learned` holds what learning faults learned, by fault
    and part of the site.
    """

    def __init__(
        self,
        session: Session,
        faults: Sequence[Fault],
        phrases: Sequence[Sequence[int]],
        learned: Mapping[str, Sequence[Any]] | None = None,
    ) -> None:
        self.injection = Injection(session, learned or {})
        self.sites = [
            (fault.kind, fault, _site(session, fault.kind, fault))
            for fault in faults
            if isinstance(fault.kind, SiteFault)
        ]
        self.permutation = label_permutation(faults, phrases)

    @contextmanager
    def attached(self) -> Iterator["Injector"]:
        """Keep the faults' hooks registered for the length of a `with` block."""
        with ExitStack() as hooks:
            # What is registered last runs first, so that faults strike in the order given.
            for kind, fault, site in reversed(self.sites):
                hooks.enter_context(kind.attached(fault, site, self.injection))
            if self.permutation:
                hooks.enter_context(permuting(self.injection.session, self.permutation))
            yield self

    @contextmanager
    def striking(self, batch: StruckBatch) -> Iterator[None]:
        """Strike whatever runs inside the block as this batch; its donors are run first, whole."""
        self.injection.donated = {
            str(fault): capture(self.injection.session, site, batch.donors[str(fault)].inputs)
            for _, fault, site in self.sites
            if str(fault) in batch.donors
        }
        self.injection.batch = batch
        try:
            yield
        finally:
            self.injection.batch, self.injection.donated = None, {}


def _site(session: Session, kind: SiteFault, fault: Fault) -> Locus:
    if session.anatomy.crosses and fault.stage == LLM and kind.only_image_tokens:
        raise UsageError(
            f"{fault} needs image tokens in the prompt, and {session.anatomy.model_type} "
            "looks at the image by cross-attention"
        )
    return site_of(session, fault)
