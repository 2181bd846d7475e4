"""Planning: what an extraction would do and cost, measured on one batch, without writing anything.

The model is loaded and checked as a real extraction does it; then one batch is run and its vectors
are written to a temporary folder, so that time and bytes are measurements scaled up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from extract.running.agent import Extraction
from extract.running.background import leaving_a_core
from extract.running.batches import Runner
from extract.running.rows import activation_table
from extract.running.units import UnitBuffer
from extract.sharing.coverage import Range
from extract.sharing.job import ExtractRequest, Job, look_up, refuse_other_identity
from warehouse.lake.lake import Lake
from warehouse.lake.shards import checked_table, pieces, write_parquet
from warehouse.vocabulary import Cell


@dataclass(frozen=True)
class Outlook:
    """What is left to do for a request: `loci` and their readouts by module, as `0 (mean, last)`.

    `n_bytes` of shards and `seconds` after loading are scaled up from `n_measured` images.
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


def outlook(lake: Lake, request: ExtractRequest) -> Outlook:
    """What `extract` would do with this request. Raises as `extract` does; changes no activation.

    A dataset given as a path is registered, as every command does with one.
    """
    job = look_up(lake, request)
    refuse_other_identity(job)
    with leaving_a_core(job.device):
        extraction = Extraction(job, lambda *_: None)
        opened = extraction.open()
        tasks = extraction.tasks(opened.session)
        if not tasks:
            return _outlook(job, [], 0, 0.0, 0)
        with extraction.runner(opened) as runner:
            return _measured(job, extraction, runner, tasks)


def _measured(job: Job, extraction: Extraction, runner: Runner, tasks: Sequence[Range]) -> Outlook:
    """Run one batch twice, the second time for the clock: the first one warms up."""
    task = max(tasks, key=lambda task: task.n_vectors)
    runner.watch(task.wanted)
    names = job.order[task.start : task.stop][: extraction.batch_size]
    for _ in range(2):
        started = perf_counter()
        prepared = extraction.preparer(names)
        preparing = perf_counter() - started
        vectors, _answers = runner.run(prepared, task.answers)()
        running = perf_counter() - started - preparing
    buffer = UnitBuffer()
    buffer.add(prepared.sample_ids, vectors, [])
    n_values = {cell: values.shape[1] for cell, values in vectors.items()}
    measured = len(prepared.sample_ids) * sum(n_values.values())
    per_value = _bytes_of(job, buffer) / max(measured, 1)
    values = sum(
        task.n * sum(n_values.get(Cell(locus.module, locus.layer, name), 0) for name in names)
        for task in tasks
        for locus, names in task.wanted
    )
    n = sum(task.n for task in tasks)
    # Preparation runs beside the model: the slower of the two sets the pace.
    seconds = max(preparing, running) * n / len(prepared.sample_ids)
    return _outlook(job, tasks, round(per_value * values), seconds, len(prepared.sample_ids))


def _bytes_of(job: Job, buffer: UnitBuffer) -> int:
    """The size on disk of these vectors' shards."""
    vectors = buffer.vectors()
    if not vectors:
        return 0
    table = activation_table(job.model_id, job.dataset_id, buffer.sample_ids, vectors)
    rows = checked_table("activation", table, "outlook")
    total = 0
    with TemporaryDirectory() as folder:
        for number, piece in enumerate(pieces("activation", rows, {})):
            path = Path(folder, f"{number}.parquet")
            write_parquet(path, piece)
            total += path.stat().st_size
    return total


def _outlook(
    job: Job, tasks: Sequence[Range], n_bytes: int, seconds: float, n_measured: int
) -> Outlook:
    loci: dict[str, dict[int, list[str]]] = {}
    for task in tasks:
        for locus, names in task.wanted:
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
        answers=tuple(dict.fromkeys(method for task in tasks for method in task.answers)),
        n_samples=sum(task.n for task in tasks),
        n_vectors=sum(task.n_vectors for task in tasks),
        n_bytes=n_bytes,
        seconds=seconds,
        n_measured=n_measured,
    )
