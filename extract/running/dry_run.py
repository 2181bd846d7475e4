"""The dry run: what an extraction would do and cost, measured on one batch; nothing is written.

The model is loaded and checked as a real extraction does it; then one batch is run and its vectors
are written to a temporary folder, so that time and bytes are measurements scaled up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from extract.models import Prompt
from extract.running.background import leaving_a_core
from extract.running.clock import Stopwatch
from extract.running.opening import open_model
from extract.running.ranges import RangeRunner, range_runner, ways_of
from extract.running.results import RangeResult
from extract.running.rows import activation_table
from extract.sharing import (
    ExtractRequest,
    Job,
    Ledger,
    Range,
    cells_of,
    look_up,
    refuse_other_identity,
    wanted_by,
)
from warehouse.lake import Lake, checked_table, pieces, write_parquet


@dataclass(frozen=True)
class Outlook:
    """What is left to do for a request: `loci` and their readouts by module, as `0 (mean, last)`.

    `n_bytes` of shards and `seconds` after loading are scaled up from `n_measured` images. `prompt`
    is what the model is asked with each, `notes` are worth showing.
    """

    model_id: str
    dataset_id: str
    device: str
    dtype: str
    loci: dict[str, list[str]]
    answers: tuple[str, ...]
    n_samples: int
    n_vectors: int
    n_bytes: int
    seconds: float
    n_measured: int
    prompt: Prompt
    notes: tuple[str, ...]


def outlook(lake: Lake, request: ExtractRequest) -> Outlook:
    """What `extract` would do with this request. Raises as `extract` does; changes no activation.

    A dataset given as a path is registered, as every command does with one.
    """
    job = look_up(lake, request)
    refuse_other_identity(job)
    with leaving_a_core(job.device):
        opened = open_model(job)
        wanted = wanted_by(job, opened.session.anatomy, opened.session.readouts)
        ranges = Ledger(job).lacking(wanted)
        if not ranges:
            return _outlook(job, [], 0, 0.0, 0, opened.lines)
        with range_runner(job, opened, Stopwatch()) as runner:
            return _measured(job, runner, ranges)


def _measured(job: Job, runner: RangeRunner, ranges: Sequence[Range]) -> Outlook:
    """Run one batch twice, the second time for the clock: the first one warms up."""
    most = max(ranges, key=lambda one: (one.n_vectors, len(one.answers)))
    result = RangeResult(most)
    names = next(runner.batch_size.cut(job.order[most.start : most.stop]))
    for _ in range(2):
        started = perf_counter()
        prepared = runner.preparer(names, ways_of(most))
        preparing = perf_counter() - started
        batch = runner.runner.run(prepared, most.wanted, most.answers)()
        running = perf_counter() - started - preparing
    result.add(batch)
    n, n_values = len(batch.sample_ids), {c: v.shape[1] for c, v in batch.vectors.items()}
    per_value = _bytes_of(job, result) / max(n * sum(n_values.values()), 1)
    values = sum(
        one.n * sum(n_values.get(cell, 0) for cell in cells_of(one.wanted, ())) for one in ranges
    )
    # Preparation runs beside the model: the slower of the two sets the pace.
    seconds = max(preparing, running) * sum(one.n for one in ranges) / n
    return _outlook(job, ranges, round(per_value * values), seconds, n, runner.notes)


def _bytes_of(job: Job, result: RangeResult) -> int:
    """The size on disk of these vectors' shards."""
    vectors = result.take_vectors()
    if not vectors:
        return 0
    table = activation_table(job.model_id, job.dataset_id, result.sample_ids, vectors)
    rows = checked_table("activation", table, "outlook")
    total = 0
    with TemporaryDirectory() as folder:
        for number, piece in enumerate(pieces("activation", rows, {})):
            path = Path(folder, f"{number}.parquet")
            write_parquet(path, piece)
            total += path.stat().st_size
    return total


def _outlook(
    job: Job,
    ranges: Sequence[Range],
    n_bytes: int,
    seconds: float,
    n_measured: int,
    notes: tuple[str, ...],
) -> Outlook:
    loci: dict[str, dict[int, list[str]]] = {}
    for one in ranges:
        for locus, names in one.wanted:
            found = loci.setdefault(locus.module, {}).setdefault(locus.layer, [])
            found += [name for name in names if name not in found]
    return Outlook(
        model_id=job.model_id,
        dataset_id=job.dataset_id,
        device=job.device,
        dtype=job.dtype,
        loci={
            module: [f"{layer} ({', '.join(names)})" for layer, names in sorted(layers.items())]
            for module, layers in loci.items()
        },
        answers=tuple(dict.fromkeys(method for one in ranges for method in one.answers)),
        n_samples=sum(one.n for one in ranges),
        n_vectors=sum(one.n_vectors for one in ranges),
        n_bytes=n_bytes,
        seconds=seconds,
        n_measured=n_measured,
        prompt=job.prompt,
        notes=(*job.notes, *notes),
    )
