"""Extraction: runs a model over a dataset and writes what it finds into the lake.

Work is cut into ranges of at most 256 samples; each becomes visible as a whole, in one commit that
notes what it covers. So whoever extracts can die at any moment: the next one computes only what no
commit covers, and ends with the same lake.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from time import perf_counter
from typing import Any

from extract.models import Session
from extract.reading import Wanted
from extract.running.background import BackgroundWriter, leaving_a_core, writers
from extract.running.batch_size import batch_size_for
from extract.running.by_fold import FoldRunner
from extract.running.clock import Stopwatch
from extract.running.opening import open_model
from extract.running.ranges import RangeRunner, range_runner
from extract.running.results import RangeResult
from extract.running.rows import model_rows, readout_rows
from extract.running.writing import RangeWriter
from extract.sharing import (
    Claims,
    ExtractRequest,
    ExtractSummary,
    Job,
    Lacking,
    Ledger,
    Range,
    fold_parts,
    is_other_identity,
    job_is_done,
    known_structure,
    look_up,
    refuse_other_identity,
    structure_of,
    wanted_by,
)
from warehouse.lake import Lake, RunWriter
from warehouse.progress import Progress, listening
from warehouse.vocabulary import BLIND, SAYS_SEEN


def extract(
    lake: Lake, request: ExtractRequest, progress: Progress | None = None
) -> ExtractSummary:
    """Run `request.model` over `request.dataset`; write activations and answers into `lake`.

    Does only what no earlier run did. Raises UsageError for what cannot be meant and
    LayerhouseError for failed work; what was committed before an error stays, and the same call
    goes on from there.
    """
    with listening(progress):
        job = look_up(lake, request)
    done = done_before(job)
    if done is not None:
        return done
    claiming = Claims(lake, job.model_id, job.dataset_id)
    with claiming as claims, leaving_a_core(job.device), listening(progress):
        work = _extract_by_fold if job.is_by_fold else _extract
        return work(job, claims, progress)


def done_before(job: Job) -> ExtractSummary | None:
    """The summary of a job that has nothing left to do, its run finished if it was not yet.

    Raises LayerhouseError where the lake holds the model under another configuration.
    """
    known, done = known_structure(job), job_is_done(job)
    refuse_other_identity(job)  # after the look at what is done, which others may have done
    if known is None or not done:
        return None
    ledger = Ledger(job)
    if job.seen.recorded is None:  # of earlier versions
        _say_seen(job)
    ledger.close()
    return ledger.summary(wanted_by(job, *known), added=False)


def _say_seen(job: Job) -> None:
    """Add to a run that is done which samples its model saw in training."""
    run = job.writer()
    if run.is_finished:
        run.reopen()
    rows, covers = job.seen.rows(job.model_id, job.dataset_id), {SAYS_SEEN: len(job.seen.known)}
    run.commit(rows, covers=covers, clashes=partial(is_other_identity, job), finished=True)


def _extract(job: Job, claims: Claims, progress: Progress | None) -> ExtractSummary:
    stopwatch, ledger, run = Stopwatch(), Ledger(job), job.writer()
    with stopwatch.timing("load"):
        opened = open_model(job)
    wanted = wanted_by(job, opened.session.anatomy, opened.session.readouts)
    due = ledger.lacking(wanted)
    if not due:
        describe(job, opened.session).write(job, run, claims)  # which alone may have been lost
        ledger.close()
        return ledger.summary(wanted, added=False, notes=opened.lines)
    with range_runner(job, opened, stopwatch) as runner:
        describe(job, opened.session).write(job, run, claims)
        size = runner.batch_size
        writer = RangeWriter(job, run, runner.lens, size, stopwatch, claims.release)
        _do(runner, writer, claims, due, partial(ledger.lacking, wanted), progress)
    return _finished(ledger, writer, wanted, (*runner.notes, *runner.runner.notes, *size.notes))


def _extract_by_fold(job: Job, claims: Claims, progress: Progress | None) -> ExtractSummary:
    """The same of answers alone; a range is written once every fold's model has been at it."""
    stopwatch, ledger, run = Stopwatch(), Ledger(job), job.writer()

    def begin(session: Session) -> None:
        describe(job, session).write(job, run, claims)

    due, size = ledger.lacking(()), batch_size_for(job, batching=True)
    if not due:
        begin(open_model(fold_parts(job)[0]).session)
        ledger.close()
        return ledger.summary((), added=False)
    runner = FoldRunner(job, stopwatch, size, begin)
    writer = RangeWriter(job, run, None, size, stopwatch, claims.release)
    _do(runner, writer, claims, due, partial(ledger.lacking, ()), progress)
    return _finished(ledger, writer, (), tuple(runner.notes))


def _do(
    runner: RangeRunner | FoldRunner,
    writer: RangeWriter,
    claims: Claims,
    due: Sequence[Range],
    lacking: Lacking,
    progress: Progress | None,
) -> None:
    """Run what is due and write it, but for what others hold meanwhile and do."""
    job, total, done, started = writer.job, sum(one.n for one in due), 0, perf_counter()
    while due:
        writer.overtaken = False
        with BackgroundWriter(writers(job.device)) as background:
            put = partial(put_behind, background, writer)
            rounds = claims.rounds(scattered(job, due), lacking)
            work = (runner.run(reopening(writer.run, free), total, put) for free in rounds)
            for n in chain.from_iterable(work):
                done = min(done + n, total)
                if progress is not None:
                    note = pace(job, done, perf_counter() - started, writer.n_bytes)
                    progress(done, total, note)
        # What another machine did some of was dropped whole; the rest of it is still due.
        due = lacking(0, len(job.order)) if writer.overtaken else []


def _finished(
    ledger: Ledger, writer: RangeWriter, wanted: Wanted, notes: tuple[str, ...]
) -> ExtractSummary:
    ledger.check_complete(wanted)
    writer.run.finish({"seconds": writer.stopwatch.lap()})
    return ledger.summary(
        wanted,
        added=True,
        seconds=dict(writer.stopwatch.seconds),
        notes=notes,
        n_bytes=writer.n_bytes,
        n_tokens=writer.n_tokens,
    )


@dataclass(frozen=True)
class Description:
    """What a loaded model says of itself: rows by table, its loci with their readouts, and a note
    of those where its last token is blind."""

    rows: dict[str, list[dict[str, Any]]]
    covers: dict[str, Any]
    notes: dict[str, Any]

    def write(self, job: Job, run: RunWriter, claims: Claims) -> None:
        """Make it a commit of a run, its first, unless the run says the same already."""
        with claims.beginning():
            refuse_other_identity(job)
            said = [commit.covers for commit in run.committed if "anatomy" in commit.covers]
            known = [structure_of(covers)[1] for covers in said]
            named = [covers.get("prompts", []) for covers in said]
            is_known = self.covers["readouts"] in known and self.covers.get("prompts", []) in named
            if not (is_known and any(SAYS_SEEN in one.covers for one in run.committed)):
                if run.is_finished:
                    run.reopen()
                clashes = partial(is_other_identity, job)
                run.commit(self.rows, covers=self.covers, notes=self.notes, clashes=clashes)


def describe(job: Job, session: Session) -> Description:
    rows = model_rows(job.model_id, job.variant, session.loaded, session.anatomy)
    rows |= readout_rows(session.readouts)
    covers: dict[str, Any] = {"anatomy": asdict(session.anatomy)}
    covers |= {"readouts": dict(session.readouts), SAYS_SEEN: len(job.seen.known)}
    rows |= job.seen.rows(job.model_id, job.dataset_id)
    entries = {each.entry.name: each.entry for each in job.asked.values() if job.info.classes}
    if entries:
        rows["prompt"] = [entry.words() for entry in entries.values()]
        covers["prompts"] = sorted(entries)
    return Description(rows, covers, {BLIND: list(session.blind)})


def put_behind(background: BackgroundWriter, writer: RangeWriter, result: RangeResult) -> None:
    """Have a whole range written; waits where too many others wait for that."""
    with writer.stopwatch.timing("wait"):
        background.put(partial(writer.write, result))


def reopening(run: RunWriter, ranges: Iterable[Range]) -> Iterator[Range]:
    """The ranges, the run reopened before each where it is finished: it lost commits since."""
    for one in ranges:
        if run.is_finished:
            run.reopen()
        yield one


def scattered(job: Job, ranges: Sequence[Range]) -> Sequence[Range]:
    """The ranges in an order to do them in.

    Claims are not seen on other machines, so where a lake is shared with such, in a bucket, every
    agent begins somewhere else.
    """
    if job.lake.store.locks_reach_everyone:
        return ranges
    first = random.SystemRandom().randrange(len(ranges))
    return [*ranges[first:], *ranges[:first]]


def pace(job: Job, done: int, seconds: float, n_bytes: int) -> str:
    """What is being done, and how fast it goes."""
    rate = done / max(seconds, 1e-9)
    what = "answers" if job.request.answers_only else "images"
    return f"{what}, {rate:.1f} a second, {n_bytes / 1e9:.3f} GB written"
