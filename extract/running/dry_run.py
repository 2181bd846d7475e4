"""The dry run: what an extraction would do and cost, measured on one batch; nothing is written.

The model is loaded and checked as a real extraction does it; then one batch is run and its vectors
are written to a temporary folder, so that time and bytes are measurements scaled up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

from extract.models import Prompt
from extract.running.background import leaving_a_core
from extract.running.clock import Stopwatch
from extract.running.opening import open_model
from extract.running.ranges import RangeRunner, range_runner, ways_of
from extract.running.results import RangeResult
from extract.running.rows import activation_table, token_table
from extract.sharing import (
    ExtractRequest,
    Job,
    Ledger,
    Range,
    cells_of,
    fold_parts,
    look_up,
    refuse_other_identity,
    wanted_by,
)
from warehouse.lake import Lake, checked_table, pieces, write_parquet
from warehouse.vocabulary import Cell


@dataclass(frozen=True)
class Outlook:
    """What is left to do for a request: `loci` and their readouts by module, as `0 (mean, last)`.

    `n_tokens` that are kept, `n_bytes` of shards and `seconds` after loading are scaled up from
    `n_measured` images. `prompt` is what the model is asked with each, `notes` are worth showing.
    """

    model_id: str
    dataset_id: str
    device: str
    dtype: str
    loci: dict[str, list[str]]
    answers: tuple[str, ...]
    n_samples: int
    n_vectors: int
    n_tokens: int
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
        part = fold_parts(job)[0] if job.is_by_fold else job
        opened = open_model(part)
        wanted = wanted_by(job, opened.session.anatomy, opened.session.readouts)
        ranges = Ledger(job).lacking(wanted)
        if not ranges:
            return _outlook(job, [], _Measure(), opened.lines)
        with range_runner(part, opened, Stopwatch()) as runner:
            return _measured(job, runner, ranges)


def _measured(job: Job, runner: RangeRunner, ranges: Sequence[Range]) -> Outlook:
    """Run one batch twice, the second time for the clock: the first one warms up."""
    most = max(ranges, key=lambda one: (one.n * len(cells_of(one.wanted, ())), len(one.answers)))
    most = most if runner.names_of(most) else next(filter(runner.names_of, ranges))
    result = RangeResult(most)
    names = next(runner.batch_size.cut(runner.names_of(most)))
    for _ in range(2):
        started = perf_counter()
        prepared = runner.preparer(names, ways_of(most))
        preparing = perf_counter() - started
        batch = runner.runner.run(prepared, most.wanted, most.answers)()
        running = perf_counter() - started - preparing
    result.add(batch)
    n, kept = len(batch.sample_ids), batch.vectors.tokens
    n_values: dict[Cell, float] = {c: v.shape[1] for c, v in batch.vectors.items()}
    n_values |= {cell: tokens.values.size / n for cell, tokens in kept.items()}
    n_tokens = {cell: len(tokens.values) / n for cell, tokens in kept.items()}
    per_value = _bytes_of(job, result) / max(n * sum(n_values.values()), 1)
    # Preparation runs beside the model: the slower of the two sets the pace.
    seconds = max(preparing, running) * sum(one.n for one in ranges) / n
    tokens = round(_scaled(n_tokens, ranges))
    measure = _Measure(n, tokens, round(per_value * _scaled(n_values, ranges)), seconds)
    return _outlook(job, ranges, measure, runner.notes)


def _scaled(per_sample: Mapping[Cell, float], ranges: Sequence[Range]) -> float:
    """What all ranges hold of what a sample has so much of, by cell."""
    return sum(
        one.n * sum(per_sample.get(cell, 0) for cell in cells_of(one.wanted, ())) for one in ranges
    )


def _bytes_of(job: Job, result: RangeResult) -> int:
    """The size on disk of these vectors' shards."""
    vectors, of = result.take_vectors(), (job.model_id, job.dataset_id)
    tables = {}
    if vectors:
        tables["activation"] = activation_table(*of, result.sample_ids, vectors)
    if vectors.token_cells:
        tables["token_activation"] = token_table(*of, result.sample_ids, vectors)
    total = 0
    with TemporaryDirectory() as folder:
        for name, table in tables.items():
            rows = checked_table(name, table, "outlook")
            for number, piece in enumerate(pieces(name, rows, {})):
                path = Path(folder, f"{name}-{number}.parquet")
                write_parquet(path, piece)
                total += path.stat().st_size
    return total


class _Measure(NamedTuple):
    """What was measured on images, `n_measured`, and scaled up."""

    n_measured: int = 0
    n_tokens: int = 0
    n_bytes: int = 0
    seconds: float = 0.0


def _outlook(
    job: Job, ranges: Sequence[Range], measure: _Measure, notes: tuple[str, ...]
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
        prompt=job.prompt,
        notes=(*job.notes, *notes),
        **measure._asdict(),
    )
