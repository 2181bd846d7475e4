"""By fold: one model after the other answers the samples of its fold."""

import gc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch

from extract.models import Session
from extract.running.batch_size import BatchSize
from extract.running.clock import Stopwatch
from extract.running.opening import open_model
from extract.running.ranges import Put, range_runner
from extract.running.results import RangeResult
from extract.sharing import Job, Range, fold_parts


@dataclass
class FoldRunner:
    """Runs ranges of a job whose model is one for each fold; one of them is in memory at a time.

    `begin` is called with the first that is opened; `size` learns what the memory holds, and
    `notes` are worth showing.
    """

    job: Job
    stopwatch: Stopwatch
    size: BatchSize
    begin: Callable[[Session], None]
    notes: dict[str, None] = field(default_factory=dict)

    def run(self, ranges: Iterable[Range], n_samples: int, put: Put) -> Iterator[int]:
        """Run the ranges and put each, behind the last fold; gives after every batch how many
        samples. Ranges are asked for while the first fold's model works.
        """
        taken: list[Range] = []
        gathered: dict[int, RangeResult] = {}
        for number, part in enumerate(fold_parts(self.job)):
            mine = taken if number else _noted(ranges, taken)
            yield from self._of_fold(part, mine, n_samples, partial(self._gather, gathered, part))
            gc.collect()  # hooks and models hold each other
            if self.job.device.startswith("cuda"):
                torch.cuda.empty_cache()
        for result in gathered.values():
            put(result)

    def _of_fold(
        self, part: Job, ranges: Iterable[Range], n_samples: int, put: Put
    ) -> Iterator[int]:
        with self.stopwatch.timing("load"):
            opened = open_model(part)
        self.begin(opened.session)
        with range_runner(part, opened, self.stopwatch) as runner:
            yield from runner.run(ranges, n_samples, put)
            size = runner.batch_size
            lines = *runner.notes, *runner.runner.notes, *size.notes
        self.notes |= dict.fromkeys(lines)
        self.size.fitted = size.fitted or self.size.fitted

    def _gather(self, gathered: dict[int, RangeResult], part: Job, result: RangeResult) -> None:
        """Add what a fold's model said to its range."""
        whole = gathered.setdefault(result.range.start, RangeResult(result.range))
        whole.batches += result.batches
        whole.late += result.late
        others = part.seen.sample_ids - self.job.seen.sample_ids
        whole.reject({name: why for name, why in result.rejected.items() if name not in others})


def _noted(ranges: Iterable[Range], taken: list[Range]) -> Iterator[Range]:
    for one in ranges:
        taken.append(one)
        yield one
