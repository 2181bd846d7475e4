"""The runner: one batch through the model, with faults, readouts and answers."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from typing import Any

import numpy as np
import torch

from extract.answers import SLACK, Prompted, cache_of, generate, score_phrases
from extract.injection import Injector, StruckBatch
from extract.layouts import BatchFacts
from extract.parsing import ClassNames, parse_reply
from extract.pipeline import Prepared, Stopwatch
from extract.readouts import Blocks, Cell, Reader, cell_vectors
from extract.rows import answer_row
from extract.selection import Wanted
from extract.session import Session
from warehouse.errors import LayerhouseError


class Runner:
    """Runs batches of one model; a context manager that keeps its hooks registered.

    `classes` and `phrases` (their tokens) are in class order; `letters` tells whether the question
    lists the classes under letters.
    """

    def __init__(
        self,
        session: Session,
        injector: Injector | None,
        classes: Sequence[ClassNames],
        phrases: Sequence[Sequence[int]],
        letters: bool,
        watch: Stopwatch,
    ) -> None:
        self.session = session
        self.injector = injector
        self.classes = classes
        self.phrases = phrases
        self.letters = letters
        self.watch = watch
        self._hooks = ExitStack()
        self._reader: Reader | None = None
        self._reading = ExitStack()

    def __enter__(self) -> "Runner":
        if self.injector is not None:
            self._hooks.enter_context(self.injector.attached())
        return self

    def __exit__(self, *error: Any) -> None:
        self._reading.close()
        self._hooks.close()

    def read(self, wanted: Wanted) -> None:
        """From now on, take these readouts of every batch."""
        if self._reader is not None and list(self._reader.wanted) == list(wanted):
            return
        self._reading.close()
        self._reader = Reader(self.session.model, self.session.anatomy, wanted)
        self._reading.enter_context(self._reader.attached())

    @property
    def cells(self) -> dict[Cell, tuple[int, slice]]:
        """Where the readouts lie in the blocks that `run` returns."""
        assert self._reader is not None
        return self._reader.cells

    def run(
        self, prepared: Prepared, answers: Sequence[str]
    ) -> tuple[Blocks, dict[str, list[dict[str, Any]]]]:
        """Readouts, and answers by method (rows without model and dataset), of one batch."""
        assert self._reader is not None
        facts = self.session.facts(prepared.inputs)
        with self.watch.timing("copy"):
            inputs = self.session.on_device(prepared.inputs)
        with self._striking(facts, prepared):
            keep = bool(answers) and self.session.continues
            with self._reader.recording(facts, self.session.loaded.device):
                output = self._forward(inputs, keep)
            with self.watch.timing("copy"):
                blocks = self._reader.collect()
                refuse_not_finite(blocks, self.cells, prepared.sample_ids)
            with self.watch.timing("answer"):
                prompted = Prompted(
                    inputs, self.session.last_logits(output), cache_of(output) if keep else None
                )
                del output
                return blocks, self._answer(prompted, answers, prepared.sample_ids)

    def _striking(self, facts: BatchFacts, prepared: Prepared) -> Any:
        if self.injector is None:
            return nullcontext()
        return self.injector.striking(StruckBatch(facts, prepared.sample_ids, prepared.donors))

    def _forward(self, inputs: Mapping[str, Any], keep: bool) -> Any:
        assert self._reader is not None
        before = self._reader.seconds
        with self.watch.timing("forward"):
            output = self.session.forward(inputs, keep_cache=keep)
            if self.session.loaded.device.type == "cuda":
                torch.cuda.synchronize(self.session.loaded.device)
        reading = self._reader.seconds - before
        self.watch.add("forward", -reading)
        self.watch.add("readout", reading)
        return output

    def _answer(
        self, prompted: Prompted, methods: Sequence[str], sample_ids: Sequence[str]
    ) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        if "likelihood" in methods:
            scores = score_phrases(self.session, prompted, self.phrases)
            fine = np.isfinite(scores).all(axis=1)
            if not fine.all():
                raise LayerhouseError(
                    f"the label likelihoods of sample {sample_ids[int(np.argmin(fine))]} are not "
                    "finite; try --dtype float32"
                )
            found["likelihood"] = [
                {"predicted": int(row.argmax()), "logprobs": row.tolist()} for row in scores
            ]
        if "generate" in methods:
            longest = max(map(len, self.phrases)) + SLACK
            found["generate"] = [
                {"predicted": parse_reply(text, self.classes, letters=self.letters), "text": text}
                for text in generate(self.session, prompted, longest)
            ]
        return found


def refuse_not_finite(
    blocks: Blocks, cells: Mapping[Cell, tuple[int, slice]], sample_ids: Sequence[str]
) -> None:
    """Raise LayerhouseError naming locus and sample if a readout holds NaN or infinity."""
    # A sum is finite unless a value is not; that it may overflow only costs the second look.
    if all(np.isfinite(block.sum()) for block in blocks.values()):
        return
    for (module, layer, readout), vectors in cell_vectors(blocks, cells).items():
        fine = np.isfinite(vectors).all(axis=1)
        if not fine.all():
            raise LayerhouseError(
                f"the {readout} readout of {module}.{layer} is not finite for sample "
                f"{sample_ids[int(np.argmin(fine))]}; try --dtype float32"
            )


def rows_of(
    model_id: str, dataset_id: str, sample_ids: Sequence[str], found: Mapping[str, Sequence[Any]]
) -> list[dict[str, Any]]:
    """The rows of the `answer` table for a batch's answers."""
    return [
        answer_row(model_id, dataset_id, sample_id, method, **given)
        for method, answers in found.items()
        for sample_id, given in zip(sample_ids, answers, strict=True)
    ]
