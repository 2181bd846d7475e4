"""Writing: what came of a range becomes shards of the lake, in one commit."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any

import pyarrow as pa

from extract.reading import Lens, is_per_token, lens_table
from extract.running.batch_size import BatchSize, device_name
from extract.running.clock import Stopwatch
from extract.running.results import RangeResult
from extract.running.rows import (
    activation_table,
    answer_rows,
    donor_rows,
    draw_rows,
    place_rows,
    token_table,
)
from extract.sharing import Job, is_replied, method_of, shown_in, way_of
from warehouse.lake import OvertakenError, RunWriter
from warehouse.vocabulary import GENERATE, LIKELIHOOD


@dataclass
class RangeWriter:
    """Commits ranges of a job's run; `release(start, stop)` is called when one is done with.

    `n_bytes` and `n_tokens` are those written so far; `overtaken` tells whether another machine did
    some of a range, which was dropped then: what is left of it is still due.

    Several threads may write at once: they make shards beside each other and commit in turn.
    """

    job: Job
    run: RunWriter
    lens: Lens | None
    batch_size: BatchSize
    stopwatch: Stopwatch
    release: Callable[[int, int], None]
    n_bytes: int = 0
    n_tokens: int = 0
    overtaken: bool = False
    making_tables: Lock = field(default_factory=Lock)

    def write(self, result: RangeResult, in_turn: Callable[[], None]) -> None:
        """Write a whole range; `in_turn` waits until its commit may follow those before it."""
        # One at a time: meanwhile a range's vectors are in memory twice.
        with self.making_tables, self.stopwatch.timing("write"):
            tables = self._tables(result)
        seconds = self.stopwatch.lap()
        notes: dict[str, Any] = {"seconds": seconds, "n_images": len(result.sample_ids)}
        if self.batch_size.fitted is not None:
            fitted = {"device": device_name(self.job), "batch": self.batch_size.fitted}
            notes["fitted"] = fitted
        with self.stopwatch.timing("write"):
            self._commit(result, tables, notes, in_turn)
        self.release(result.range.start, result.range.stop)

    def _commit(
        self,
        result: RangeResult,
        tables: dict[str, Any],
        notes: dict[str, Any],
        in_turn: Callable[[], None],
    ) -> None:
        clashes = partial(result.range.overlaps, self.job.spec.run_id)
        covers = self._covers(result) | self._counted(result, tables.get("token_activation"))
        try:
            commit = self.run.commit(
                tables, covers=covers, notes=notes, clashes=clashes, in_turn=in_turn
            )
        except OvertakenError:
            self.overtaken = True
            return
        self.n_bytes += sum(shard.bytes for shard in commit.shards)
        self.n_tokens += sum(covers.get("tokens", ()))

    def _tables(self, result: RangeResult) -> dict[str, Any]:
        of = self.job.model_id, self.job.dataset_id
        tables: dict[str, Any] = {}
        vectors = result.take_vectors()
        if vectors:
            tables["activation"] = activation_table(*of, result.sample_ids, vectors)
            if self.lens is not None:
                tables["logit_lens"] = lens_table(self.lens, tables["activation"])
        if vectors.token_cells:
            tables["token_activation"] = token_table(*of, result.sample_ids, vectors)
        if result.answers:
            tables["answer"] = answer_rows(*of, result.answers, self.job.own.way)
        if rows := draw_rows(*of, result.answers, self.job.own.way):
            tables["reply_draw"] = rows
        if result.places:
            tables["reply_place"] = place_rows(*of, result.places)
        shown = {shown_in(way_of(each)) for each in result.range.answers}
        donors = {c: d for c, d in self.job.image_donors.items() if c in shown}
        if rows := donor_rows(self.job.dataset_id, result.sample_ids, donors):
            tables["image_donor"] = rows
        if result.rejected:
            tables["rejected_sample"] = [
                {"dataset_id": self.job.dataset_id, "sample_id": name, "reason": reason}
                for name, reason in sorted(result.rejected.items())
            ]
        return tables

    def _counted(self, result: RangeResult, tokens: pa.Table | None) -> dict[str, Any]:
        """How many rows of tokens each place of the range has, where tokens are kept."""
        if not any(is_per_token(name) for _, names in result.range.wanted for name in names):
            return {}
        names = [] if tokens is None else tokens["sample_id"].to_pylist()
        counts, mine = Counter(names), result.range
        return {"tokens": [counts[name] for name in self.job.order[mine.start : mine.stop]]}

    def _covers(self, result: RangeResult) -> dict[str, Any]:
        """What the commit completes; cut replies and rejected samples by place in the order."""
        order, mine = self.job.order, result.range
        covers = mine.covers(order, result.rejected)
        if any(method_of(each) == LIKELIHOOD for each in mine.answers):
            covers["ends_counted"] = self.job.counts_ends
        swept = {}
        for asked in filter(is_replied, mine.answers):
            way = way_of(asked)
            said = (a for a in result.answers if (a.method, a.way) == (method_of(asked), way))
            cut = {answer.sample_id for answer in said if answer.is_cut}
            places = [place for place in mine.places if order[place] in cut]
            swept[asked] = {"max_new_tokens": self.job.budget.of(way), "cut": places}
        if GENERATE in swept:
            covers["replies"] = swept.pop(GENERATE)
        if swept:
            covers["swept_replies"] = swept
        return covers
