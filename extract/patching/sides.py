"""Sides: a model that gives states, or gets them, and what it answers by likelihood meanwhile."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from extract.anatomy import BatchFacts, Locus
from extract.answering import Question, refuse_not_finite, run_prompts
from extract.faults import DonorBatch, Edit, Injector, StruckBatch
from extract.models import Session
from extract.patching.splicing import Splice, States, taking


@dataclass(frozen=True)
class Side:
    """A model with the one question that it is asked, and its faults if it has any.

    Two sides may be one model: then they share a splice.
    """

    session: Session
    question: Question
    splice: Splice
    injector: Injector | None = None

    @contextmanager
    def running(
        self, asked: tuple[Mapping[str, Any], Mapping[str, DonorBatch]], names: Sequence[str]
    ) -> Iterator["Run"]:
        """Within the block, batches of these inputs can be run, under the model's faults."""
        inputs, donors = asked
        facts = self.session.facts(inputs)
        struck = StruckBatch(facts, names, donors)
        striking = nullcontext() if self.injector is None else self.injector.striking(struck)
        with striking:
            yield Run(self, facts, self.session.on_device(inputs), names)


@contextmanager
def attached(*sides: Side) -> Iterator[None]:
    """Keep the hooks of all sides registered, those of splices behind those of faults."""
    with ExitStack() as hooks:
        for splice in dict.fromkeys(side.splice for side in sides):
            hooks.enter_context(splice.attached())
        for injector in dict.fromkeys(side.injector for side in sides):
            if injector is not None:
                hooks.enter_context(injector.attached())
        yield


@dataclass
class Run:
    """A batch of one side, run once for everything that is put into it; `passes` counts these."""

    side: Side
    facts: BatchFacts
    inputs: Mapping[str, Any]
    names: Sequence[str]
    passes: int = field(default=0, init=False)

    @torch.inference_mode()
    def said(self, edits: Mapping[str, Edit] | None = None) -> Tensor:
        """How likely each class is of all, in log, fp32 on the CPU (n, classes), under edits by
        locus.

        Raises LayerhouseError naming a sample where that is not finite.
        """
        session = self.side.session
        self.passes += 1
        with self.side.splice.acting(self.facts, edits or {}):
            prompted = run_prompts(session, self.inputs, self.facts, keep_cache=True)
            scores = self.side.question.scores(session, prompted).cpu()
        refuse_not_finite(session, scores.numpy(), self.names)
        return torch.log_softmax(scores, dim=1)

    def given(self, loci: Sequence[Locus]) -> tuple[Tensor, dict[str, States]]:
        """What it says, as above, and its states at these loci, by name, in one pass."""
        states: dict[str, dict[tuple[int, int], Tensor]] = {locus.name: {} for locus in loci}
        said = self.said({name: taking(into) for name, into in states.items()})
        return said, dict(states)
