"""Trials: one model, loaded once, run again and again over one dataset under different faults.

What `extract` would store for each faulty model, without a lake: the readouts a diagnosis needs,
and the model's replies. Inputs are prepared once and kept where they fit into memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from extract.faults import DonorFault, Fault, FaultyInputs, site_of, strikes_weights
from extract.models import Session
from extract.reading import Wanted, known_readouts
from extract.running.background import ahead
from extract.running.clock import Stopwatch
from extract.running.faulty import inputs_under, learn_faults, runner_of
from extract.running.opening import OpenedModel, open_model
from extract.running.preparing import Prepared, Preparer
from extract.running.results import RangeResult
from extract.running.rows import answer_rows, model_rows
from extract.sharing import ExtractRequest, Job, Range, batch_size_of, look_up
from warehouse.catalogue import Recording
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake
from warehouse.vocabulary import BEFORE_LLM, FINAL_TOKEN, GENERATE, LLM, MODULES

KEPT_BYTES = 2**30
"""Prepared inputs are kept between trials up to this size, else prepared anew each time."""
BATCH = 64


@dataclass
class Bench:
    """A checked model held ready for trials; `healthy` is what it shows without any fault."""

    job: Job
    opened: OpenedModel
    watch: Stopwatch = field(default_factory=Stopwatch)
    _kept: list[Prepared] | None = field(init=False, default=None)
    _healthy: Recording | None = field(init=False, default=None)
    _replies: dict[str, list[dict[str, Any]]] = field(init=False, default_factory=dict)

    @property
    def session(self) -> Session:
        return self.opened.session

    @property
    def samples(self) -> Any:
        """The dataset's samples that are run, a frame ordered by sample_id."""
        frame = self.job.info.samples
        return frame.filter(frame["sample_id"].is_in(self.job.sample_ids))

    @property
    def taught(self) -> Any:
        """The samples of `samples` and what the model saw, which is train: of it faults learn."""
        frame, seen = self.job.info.samples, self.job.seen
        held = frame["sample_id"].is_in([*self.job.sample_ids, *seen.sample_ids])
        return seen.as_train(frame.filter(held))

    @property
    def healthy(self) -> Recording:
        """The unmodified model, run once."""
        if self._healthy is None:
            self._healthy = self._record(())
        return self._healthy

    @property
    def llm_blocks(self) -> list[int]:
        """The decoder's blocks, by layer."""
        return [b.layer for b in self.session.anatomy.of(LLM) if b.is_block and b.on_path]

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """The rows that describe the model: `model`, `module`, `layer`."""
        job = self.job
        return model_rows(job.model_id, job.variant, self.session.loaded, self.session.anatomy)

    def run(self, faults: Sequence[Fault]) -> Recording:
        """The model under these faults. Raises UsageError for a fault that it cannot have."""
        if strikes_weights(faults):
            raise UsageError("a fault of weights strikes a model as it is loaded; extract it so")
        if not faults:
            return self.healthy
        if len(faults) == 1 and self._moves_whole_images(faults[0]):
            return self._moved(faults[0])
        return self._record(faults)

    def replies(self, fault: Fault) -> list[dict[str, Any]]:
        """The answers' rows under one fault alone; remembered, as several pairs ask for them."""
        if str(fault) not in self._replies:
            self._replies[str(fault)] = self.run((fault,)).answers
        return self._replies[str(fault)]

    def depth_of(self, fault: Fault) -> int:
        """How deep the locus lies that the fault strikes; it and what follows are changed."""
        return site_of(self.session, fault).depth

    def _moves_whole_images(self, fault: Fault) -> bool:
        """Whether a fault gives a sample what its donor shows anyway.

        It does in front of the decoder, at a stage's end, where nothing of the image goes around
        the site (`complete_exits`); and where images have one size, since a donor takes the size
        of the image that it stands in for.
        """
        sizes = self.samples.select("width", "height").unique()
        early = fault.stage in BEFORE_LLM and fault.layer is None
        return isinstance(fault.kind, DonorFault) and early and len(sizes) == 1

    def _moved(self, fault: Fault) -> Recording:
        """Such a fault without running anything: from its site on, a struck sample has the
        readouts and the reply of its donor.
        """
        own = self.healthy
        donors = inputs_under([fault], self.samples).donors[str(fault)]
        place = {name: index for index, name in enumerate(own.sample_ids)}
        order = np.array([place[donors.get(name, name)] for name in own.sample_ids])
        struck = self.depth_of(fault)
        depths = {(x.module, x.layer): x.depth for x in self.session.anatomy.loci}
        vectors = {
            cell: values if depths[cell.module, cell.layer] < struck else values[order]
            for cell, values in own.vectors.items()
        }
        answers = [
            {**own.answers[source], "sample_id": name}
            for name, source in zip(own.sample_ids, order, strict=True)
        ]
        return Recording(own.sample_ids, vectors, answers)

    def _record(self, faults: Sequence[Fault]) -> Recording:
        uris = self.job.info.uris
        learned = learn_faults(faults, self.session, self.taught, uris, self._batch_size)
        faulty = inputs_under(faults, self.samples)
        with runner_of(self.opened, faults, learned, self.watch) as runner:
            whole = Range(0, len(self.job.sample_ids), needed(self.session), (GENERATE,))
            result = RangeResult(whole)
            for prepared in self._prepared(faulty, uris):
                result.add(runner.run(prepared, whole.wanted, whole.answers)())
        answers = sorted(result.answers, key=lambda answer: answer.sample_id)
        rows = answer_rows(self.job.model_id, self.job.dataset_id, answers)
        return Recording(sorted(result.sample_ids), dict(result.take_vectors()), rows)

    @property
    def _batch_size(self) -> int:
        if not self.opened.batching:
            return 1
        return batch_size_of(self.job.request.batch_size) or BATCH

    def _prepared(self, faulty: FaultyInputs, uris: Mapping[str, str]) -> Iterator[Prepared]:
        """The dataset's batches; those of unchanged inputs are kept, and serve whoever wants them.

        A preparer knows of faults by `faulty` alone, so one without any cannot need others.
        """
        if not faulty and self._kept is not None:
            yield from self._kept
            return
        preparer = Preparer(self.session, uris, faulty)
        order, size = self.job.sample_ids, self._batch_size
        batches = (order[start : start + size] for start in range(0, len(order), size))
        kept: list[Prepared] = []
        for prepared in ahead(preparer, batches):
            for name, reason in prepared.rejected.items():
                raise LayerhouseError(f"trials need every image, and {name} fails: {reason}")
            kept.append(prepared)
            tensors = (v for v in kept[0].inputs.values() if isinstance(v, torch.Tensor))
            if faulty or sum(v.nbytes for v in tensors) * len(order) / size > KEPT_BYTES:
                kept = []
            yield prepared
        self._kept = kept or self._kept


def needed(session: Session) -> Wanted:
    """What a diagnosis rests on: at the end of each module every readout that may stand for a
    stage, and the final input token of all decoder layers.

    An extraction takes averaged image tokens inside the decoder too; they are fitted there for
    their curve, and leaving them out makes a trial a third quicker.
    """
    anatomy = session.anatomy
    ends = {anatomy.end(module).name for module in MODULES}
    known = known_readouts()
    wanted = []
    for locus in anatomy.loci:
        found = tuple(
            name
            for name in session.readouts[locus.name]
            if (facts := known[name].facts).is_evidence
            and (locus.name in ends or (locus.module == LLM and facts.reads == FINAL_TOKEN))
        )
        if locus.on_path and found:
            wanted.append((locus, found))
    return wanted


def open_bench(lake: Lake, request: ExtractRequest) -> Bench:
    """Load and check a model for trials of faults on a dataset.

    Raises UsageError for an unknown model or dataset, LayerhouseError for a model that cannot be
    read or whose stages have no end that a fault could be put at.
    """
    job = look_up(lake, request)
    return Bench(job, open_model(job, BEFORE_LLM))
