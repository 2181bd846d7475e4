"""The runner: one batch through the model, with faults, readouts and answers."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from time import perf_counter
from typing import Any, TypeAlias

import torch
from torch import Tensor

from extract.anatomy.token_maps import BatchFacts
from extract.answering.methods import ANSWER_METHODS, Question
from extract.answering.scoring import Prompted, cache_of
from extract.faults.effects import StruckBatch
from extract.faults.injector import Injector
from extract.models.session import Session
from extract.reading.reader import Reader
from extract.reading.selection import Wanted
from extract.reading.to_host import Arrays, Offload
from extract.reading.vectors import CellVectors
from extract.running.clock import Stopwatch
from extract.running.preparing import Prepared
from extract.running.rows import answer_row
from warehouse.vocabulary import Cell

Outcome: TypeAlias = "tuple[CellVectors, dict[str, list[dict[str, Any]]]]"
"""A batch's readouts, and its answers by method (rows without model and dataset)."""


class Runner:
    """Runs batches of one model; a context manager that keeps its hooks registered."""

    def __init__(
        self,
        session: Session,
        injector: Injector | None,
        question: Question,
        stopwatch: Stopwatch,
    ) -> None:
        self.session = session
        self.injector = injector
        self.question = question
        self.stopwatch = stopwatch
        self._hooks = ExitStack()
        self._reader: Reader | None = None
        self._reading = ExitStack()
        self._vectors_arrive = Offload(session.loaded.device)
        self._answers_arrive = Offload(session.loaded.device)

    def __enter__(self) -> "Runner":
        if self.injector is not None:
            self._hooks.enter_context(self.injector.attached())
        return self

    def __exit__(self, *error: Any) -> None:
        self._reading.close()
        self._hooks.close()

    def watch(self, wanted: Wanted) -> None:
        """From now on, take these readouts of every batch."""
        if self._reader is not None and list(self._reader.wanted) == list(wanted):
            return
        self._reading.close()
        self._reader = Reader(self.session.model, self.session.anatomy, wanted)
        self._reading.enter_context(self._reader.attached())

    def run(self, prepared: Prepared, answers: Sequence[str]) -> Callable[[], Outcome]:
        """Begin a batch; the call that is returned waits for it.

        Its outcome are the readouts, and the answers by method (rows without model and dataset). On
        a GPU work goes on after this returns, so beginning the next batch before waiting keeps the
        device busy; on the CPU everything but the checks is done by then.
        """
        assert self._reader is not None
        facts = self.session.facts(prepared.inputs)
        with self.stopwatch.timing("copy"):
            inputs = self.session.on_device(prepared.inputs)
        with self._striking(facts, prepared):
            keep = bool(answers) and self.session.continues
            with self._reader.recording(facts, self.session.loaded.device):
                output, clock = self._forward(inputs, keep)
            prompted = Prompted(
                inputs, self.session.last_logits(output), cache_of(output) if keep else None
            )
            del output
            with self.stopwatch.timing("copy"):
                blocks = self._vectors_arrive.begin(self._reader.take())
            said: dict[str, Tensor] = {}
            for name in (name for name in ANSWER_METHODS if name in answers):
                with self.stopwatch.timing(name):
                    said[name] = ANSWER_METHODS[name].run(self.session, prompted, self.question)
            with self.stopwatch.timing("copy"):
                fetch = self._answers_arrive.begin(said)
        places = self._reader.places
        return partial(self._outcome, prepared.sample_ids, places, (blocks, fetch), clock)

    def _outcome(
        self,
        sample_ids: Sequence[str],
        places: Mapping[Cell, tuple[int, slice]],
        arriving: tuple[Callable[[], Arrays], Callable[[], Arrays]],
        clock: Callable[[], float],
    ) -> Outcome:
        with self.stopwatch.timing("wait"):
            blocks, said = (fetch() for fetch in arriving)
        self.stopwatch.add("forward", clock())
        with self.stopwatch.timing("copy"):
            vectors = CellVectors(places, blocks)
            vectors.refuse_not_finite(sample_ids)
        answers = {
            name: ANSWER_METHODS[name].read(self.session, self.question, values, sample_ids)
            for name, values in said.items()
        }
        return vectors, answers

    def _striking(self, facts: BatchFacts, prepared: Prepared) -> Any:
        if self.injector is None:
            return nullcontext()
        return self.injector.striking(StruckBatch(facts, prepared.sample_ids, prepared.donors))

    def _forward(self, inputs: Mapping[str, Any], keep: bool) -> tuple[Any, Callable[[], float]]:
        """The model's output, and what tells later how many seconds the pass took.

        Of the seconds on a GPU those of the readouts are a part; elsewhere they count apart.
        """
        assert self._reader is not None
        before, started = self._reader.seconds, perf_counter()
        events = self._events()
        output = self.session.forward(inputs, keep_cache=keep)
        reading = self._reader.seconds - before
        self.stopwatch.add("readout", reading)
        if events is None:
            took = perf_counter() - started - reading
            return output, lambda: took
        begun, ended = events
        ended.record()
        return output, lambda: begun.elapsed_time(ended) / 1000

    def _events(self) -> tuple[Any, Any] | None:
        """Marks around a forward pass on a GPU, the first already set."""
        if self.session.loaded.device.type != "cuda":
            return None
        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begun.record()
        return begun, ended


def rows_of(
    model_id: str, dataset_id: str, sample_ids: Sequence[str], found: Mapping[str, Sequence[Any]]
) -> list[dict[str, Any]]:
    """The rows of the `answer` table for a batch's answers."""
    return [
        answer_row(model_id, dataset_id, sample_id, method, **given)
        for method, answers in found.items()
        for sample_id, given in zip(sample_ids, answers, strict=True)
    ]
