"""Ranges: a job's samples through the model, prepared ahead of it, batch by batch."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import torch

from extract.faults import label_permutation
from extract.reading import Lens, of_replies, open_lens
from extract.running.background import ahead, preparers
from extract.running.batch_size import BatchSize, batch_size_for
from extract.running.batches import Runner
from extract.running.clock import Stopwatch
from extract.running.faulty import learned_by, preparer_of, runner_of
from extract.running.opening import OpenedModel
from extract.running.preparing import Prepared, Preparer
from extract.running.results import BatchResult, LateReply, MissingReply, RangeResult
from extract.sharing import Job, Range, Way, by_way, way_of
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import SEEN_IN_TRAINING

MOST_WAITING = 4
"""Ranges that are kept in memory for the sake of replies that are missing."""

Put = Callable[[RangeResult], None]
"""Takes a range that is whole."""


@dataclass(frozen=True)
class RangeRunner:
    """An opened model with all that a job's ranges need; `lens` is for what they are written with.

    `notes` are worth showing; those about the batch size follow while it works.
    """

    job: Job
    preparer: Preparer
    runner: Runner
    batch_size: BatchSize
    stopwatch: Stopwatch
    lens: Lens | None
    notes: tuple[str, ...]

    def run(self, ranges: Iterable[Range], n_samples: int, put: Put) -> Iterator[int]:
        """Run the ranges and put each that is whole; gives after every batch how many samples.

        `n_samples` are to be expected in all. Ranges are asked for ahead of their turn.
        """
        asked = self.job.request.preparers
        processes = preparers(self.job.device, n_samples) if asked is None else asked
        results: deque[RangeResult] = deque()
        begun = _BegunRange(put)
        batches = self._batches(ranges, results)
        with closing(ahead(self.preparer.batch, batches, processes)) as coming:
            for prepared in self._timed(coming):
                self._begin(prepared, results.popleft(), begun)
                begun.take(leaving=1)
                begun.receive(self.runner.replies(rest=begun.keeps_too_much))
                if len(begun.left) >= self.batch_size.now or begun.keeps_too_much:
                    self._finish_left(begun)
                yield prepared.n_asked
        begun.take()
        begun.receive(self.runner.replies(rest=True))
        while begun.left:
            self._finish_left(begun)

    def _batches(
        self, ranges: Iterable[Range], results: deque[RangeResult]
    ) -> Iterator[tuple[Sequence[str], Sequence[Way | None]]]:
        """The samples of one range after the other, in batches, with the ways of asking about them;
        the result that each batch is a part of joins `results`.
        """
        for one in ranges:
            result, ways, names = RangeResult(one), ways_of(one), self.names_of(one)
            seen = set(self.job.order[one.start : one.stop]).difference(names)
            result.reject(dict.fromkeys(seen, SEEN_IN_TRAINING))
            # A range of which nothing is left is whole behind a batch of nothing.
            for batch in self.batch_size.cut(names) if names else [names]:
                results.append(result)
                yield batch, ways

    def names_of(self, one: Range) -> list[str]:
        """The samples of a range that the model did not see in training."""
        seen = self.job.seen.sample_ids
        return [name for name in self.job.order[one.start : one.stop] if name not in seen]

    def _timed(self, coming: Iterator[Prepared]) -> Iterator[Prepared]:
        """The batches, with the time spent waiting for them and that spent preparing them."""
        while True:
            with self.stopwatch.timing("wait"):
                prepared = next(coming, None)
            if prepared is None:
                return
            for work, spent in prepared.seconds.items():
                self.stopwatch.add(work, spent)
            yield prepared

    def _begin(self, prepared: Prepared, result: RangeResult, begun: "_BegunRange") -> None:
        """Run a batch, in parts if the GPU's memory does not hold it or did not hold one before."""
        result.reject(prepared.rejected)
        size = len(prepared.sample_ids)
        if not size:
            begun.settle(result)
            return
        if size <= self.batch_size.now:
            try:
                mine = result.range
                # What is read behind the replies of a batch comes whole.
                hurried = not of_replies(mine.wanted)
                asked = mine.wanted, mine.answers
                arrival = self.runner.run(prepared, *asked, hurried=hurried)
            except torch.OutOfMemoryError as error:
                if given_up := self.runner.give_up_replies():
                    begun.receive((reply, None) for reply in given_up)
                else:
                    self.batch_size.halve(size, error)
            else:
                begun.batches.append((result, arrival))
                return
        # Outside the handler: its error would keep the tensors of the failed batch alive.
        begun.take()
        torch.cuda.empty_cache()
        for names in list(self.batch_size.cut(prepared.sample_ids)):
            self._begin(self.preparer(names, ways_of(result.range)), result, begun)

    def _finish_left(self, begun: "_BegunRange") -> None:
        """Generate replies that batches left, as many as one batch holds, to their ends: those that
        are asked for as the first is.
        """
        asked = begun.left[0].asked
        alike = [reply for reply in begun.left if reply.asked == asked][: self.batch_size.now]
        for reply in alike:
            begun.left.remove(reply)
        prepared = self.preparer([reply.sample_id for reply in alike], (way_of(asked),))
        for name, reason in prepared.rejected.items():
            raise LayerhouseError(f"{name} could be read once and not again: {reason}")
        try:
            batch = self.runner.run(prepared, (), (asked,))()
        except torch.OutOfMemoryError as error:
            self.batch_size.halve(len(alike), error)
        else:
            given = ((MissingReply(asked, each.sample_id), each) for each in batch.answers)
            begun.receive(given)
            return
        torch.cuda.empty_cache()
        begun.left.extendleft(alike)


@dataclass(frozen=True)
class _BegunRange:
    """Batches on their way, oldest first, each with the range that it is a part of; `missing` are
    the replies that come after their batches, with their ranges, and `left` those of them that are
    to be generated again.
    """

    put: Put
    batches: deque[tuple[RangeResult, Callable[[], BatchResult]]] = field(default_factory=deque)
    missing: dict[MissingReply, RangeResult] = field(default_factory=dict)
    left: deque[MissingReply] = field(default_factory=deque)

    @property
    def keeps_too_much(self) -> bool:
        """Whether replies that are missing keep too many ranges waiting."""
        return len({result.range.start for result in self.missing.values()}) > MOST_WAITING

    def take(self, leaving: int = 0) -> None:
        """Wait for all batches but the newest `leaving`."""
        while len(self.batches) > leaving:
            result, arrival = self.batches.popleft()
            batch = arrival()
            result.add(batch)
            self.missing.update(dict.fromkeys((*batch.awaited, *batch.unfinished), result))
            self.left.extend(batch.unfinished)
            self.settle(result)

    def receive(self, replies: Iterable[LateReply]) -> None:
        """Take replies that were missing; those without an answer are to be generated again."""
        for reply, answer in replies:
            if answer is None:
                self.left.append(reply)
            else:
                result = self.missing.pop(reply)
                result.late.append(answer)
                self.settle(result)

    def settle(self, result: RangeResult) -> None:
        if result.is_whole:
            self.put(result)


def ways_of(one: Range) -> tuple[Way | None, ...]:
    """The ways of asking that a range needs; what is read of layers is read in the run's own."""
    own: tuple[Way | None, ...] = (None,) if one.wanted else ()
    return tuple(dict.fromkeys((*own, *by_way(one.answers))))


@contextmanager
def range_runner(job: Job, opened: OpenedModel, stopwatch: Stopwatch) -> Iterator[RangeRunner]:
    """What runs a job's ranges on its opened model, whose hooks stay for the length of a block."""
    session, phrases = opened.session, opened.phrases
    permuted = label_permutation(job.faults, phrases)
    lens, missing = None, None
    if job.info.classes:
        lens, missing = open_lens(session, session.encode([opened.image]), phrases, permuted)
    size = batch_size_for(job, batching=opened.batching)
    prompts = {asked.way: asked.prompt.text for asked in job.swept}
    preparer = preparer_of(job, session, prompts, job.image_donors)
    learned = learned_by(job, session, size.now)
    with runner_of(opened, job.faults, learned, stopwatch) as runner:
        notes = opened.lines if missing is None else (*opened.lines, missing)
        yield RangeRunner(job, preparer, runner, size, stopwatch, lens, notes)
