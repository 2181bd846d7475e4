"""`layerhouse probe`: fit what the lake still lacks, commit after every few loci."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.parallel import cores, in_order
from analysis.probes.activations import Locus, Samples, read_loci, read_vectors
from analysis.probes.linear import (
    RELATIVE_PENALTIES,
    LinearOptions,
    Part,
    fit_linear,
)
from analysis.probes.mlp import MlpOptions, fit_mlp
from analysis.probes.storage import Fit, Subject, Target, read_stored, tables_of
from warehouse.catalogue.reading import Warehouse
from warehouse.catalogue.refreshing import connect
from warehouse.errors import UsageError, nearest
from warehouse.lake.commits import Commit
from warehouse.lake.exclusion import exclusive
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.progress import Progress
from warehouse.vocabulary import CONTROLS

COMMAND = "probe"
KINDS = ("linear", "mlp")
DEFAULT_SEEDS = 5

Options = LinearOptions | MlpOptions

# Features of one chunk of loci: small enough that a few chunks fit anywhere, and that the Gram
# matrices of a chunk stay near the cores.
CPU_CHUNK_BYTES = 256 * 2**20
GPU_CHUNK_BYTES = 8 * 2**30
MLP_STATE_BYTES = 2**30
MAX_LOCI = 16


@dataclass(frozen=True)
class ProbeSummary:
    """What `probe` did; `added` is False if the lake held everything already.

    n_probes: fitted now; n_stored: of this kind in the lake afterwards; run_id: the run that added
    them, the newest one if there was nothing to add; warnings are for the person who asked.
    """

    model_id: str
    dataset_id: str
    run_id: str
    added: bool
    n_probes: int
    n_stored: int
    seconds: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """Loci of equal width that lack the same targets."""

    loci: list[Locus]
    targets: tuple[Target, ...]
    features: Tensor | None = field(default=None, repr=False)


def probe(
    lake: Lake,
    model_id: str,
    dataset_id: str,
    *,
    kind: str = "linear",
    seeds: int | None = None,
    controls: Sequence[str] = CONTROLS,
    options: Options | None = None,
    progress: Progress | None = None,
) -> ProbeSummary:
    """Fit the probes of a model on a dataset that the lake lacks: every locus, every readout.

    A linear probe without control is one deterministic fit (seed 0); `seeds` counts the shuffles of
    the control `shuffled_labels`, and for `mlp` the trainings of either (default 5 each).
    More seeds later add to what is there. The control permutes the train and the val labels, each
    within its split, and is scored against the true test labels: what it scores there is what the
    probe reaches without any relation between vectors and labels (selectivity = accuracy − that;
    Hewitt & Liang 2019). Its permutations depend on the dataset and the seed only, so all models
    face the same ones. A GPU is used if there is one. `progress(done, total)` is called per chunk.

    Raises UsageError for unknown names and impossible options, LayerhouseError where nothing was
    extracted, where stored probes have other settings, and for vectors that cannot be probed.
    """
    options = options or default_options(kind)
    seeds = DEFAULT_SEEDS if seeds is None else seeds
    _check(kind, seeds, controls, options)
    started = time.perf_counter()
    with exclusive(lake, COMMAND, model_id, dataset_id) as looked, connect(lake) as wh:
        loci, samples = read_loci(wh, model_id, dataset_id)
        subject = Subject(model_id, dataset_id, kind, settings_of(options, samples))
        wanted = _targets(kind, seeds, controls)
        stored = read_stored(wh, subject)
        missing = {
            locus: tuple(target for target in wanted if not stored.has(locus, target))
            for locus in loci
        }
        spec = RunSpec(
            COMMAND, model_id, dataset_id, _config(subject, loci, wanted), device=options.device
        )
        total = sum(map(len, missing.values()))
        warnings = []
        with RunWriter(lake, spec, looked) as writer:
            done = 0
            for fits in _fit_all(wh, subject, options, samples, missing):
                writer.commit(
                    tables_of(subject, fits, samples),
                    covers=_covers(fits),
                    clashes=partial(_are_in, subject, fits),
                )
                warnings += _warnings(fits)
                done += len(fits)
                if progress is not None:
                    progress(done, total)
            if writer.committed:
                writer.finish()
    return ProbeSummary(
        model_id=model_id,
        dataset_id=dataset_id,
        run_id=spec.run_id if total or stored.run_id is None else stored.run_id,
        added=total > 0,
        n_probes=total,
        n_stored=total + len(stored),
        seconds=time.perf_counter() - started,
        warnings=(*_coverage_warning(samples), *warnings),
    )


def shuffled_labels(samples: Samples, dataset_id: str, seed: int) -> dict[str, np.ndarray]:
    """Train and val labels, each permuted within its split; fixed by the dataset and the seed."""
    shuffled = {}
    for split in ("train", "val"):
        text = f"shuffled_labels\0{dataset_id}\0{split}\0{seed}"
        entropy = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
        labels = samples.class_index[samples.rows(split)]
        shuffled[split] = np.random.default_rng(entropy).permutation(labels)
    return shuffled


def default_options(kind: str, **changes: Any) -> Options:
    """The options of a kind of probe with some of them changed, on a GPU if there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options = LinearOptions if kind == "linear" else MlpOptions
    return options(device=device, **changes)


def _check(kind: str, seeds: int, controls: Sequence[str], options: Options) -> None:
    if kind not in KINDS:
        raise UsageError(f"there is no probe kind {kind!r}{nearest(kind, KINDS)}")
    for control in controls:
        if control not in CONTROLS:
            raise UsageError(f"there is no control {control!r}{nearest(control, CONTROLS)}")
    if seeds < 1:
        raise UsageError(f"probes need at least one seed, not {seeds}")
    if isinstance(options, LinearOptions) != (kind == "linear"):
        raise UsageError(f"{type(options).__name__} are no options of the probe kind {kind!r}")


def _targets(kind: str, seeds: int, controls: Sequence[str]) -> tuple[Target, ...]:
    """The plain probe is always among them: a control says nothing without it."""
    plain = 1 if kind == "linear" else seeds
    counts = {"none": plain, **{name: seeds for name in controls if name != "none"}}
    return tuple(Target(control, seed) for control, n in counts.items() for seed in range(n))


def settings_of(options: Options, samples: Samples) -> dict[str, Any]:
    """What decides the numbers of a probe, as JSON values."""
    chosen = {name: value for name, value in asdict(options).items() if name != "device"}
    if isinstance(options, LinearOptions):
        chosen["dtype"] = str(options.dtype).removeprefix("torch.")
        chosen["relative_penalties"] = [float(f"{value:.6g}") for value in RELATIVE_PENALTIES]
    return {**chosen, "samples": samples.fingerprint}


def _config(subject: Subject, loci: list[Locus], wanted: tuple[Target, ...]) -> dict[str, Any]:
    return {
        "kind": subject.kind,
        "settings": subject.settings,
        "targets": [[target.control, target.seed] for target in wanted],
        "loci": [[locus.module, locus.layer, locus.readout] for locus in loci],
    }


def _are_in(subject: Subject, fits: list[Fit], commit: Commit) -> bool:
    """Whether another's commit holds some of these probes."""
    if commit.run["config"].get("kind") != subject.kind:
        return False
    mine = _covers(fits)["probes"]
    return any(place in mine for place in commit.covers.get("probes", []))


def _covers(fits: list[Fit]) -> dict[str, Any]:
    return {
        "probes": [
            [
                fit.locus.module,
                fit.locus.layer,
                fit.locus.readout,
                fit.target.control,
                fit.target.seed,
            ]
            for fit in fits
        ]
    }


def _fit_all(
    wh: Warehouse,
    subject: Subject,
    options: Options,
    samples: Samples,
    missing: dict[Locus, tuple[Target, ...]],
) -> Iterator[list[Fit]]:
    """Fits, chunk by chunk; the activations of a chunk are read just before they are used."""
    on_cpu = options.device == "cpu"
    workers = cores() if on_cpu else 1
    jobs = (
        Job(
            job.loci,
            job.targets,
            read_vectors(wh, subject.model_id, subject.dataset_id, job.loci, samples),
        )
        for job in _jobs(missing, samples, options, workers)
    )
    yield from in_order(jobs, partial(_fit, subject, options, samples), workers)


def fit_vectors(
    subject: Subject, samples: Samples, vectors: Mapping[Locus, NDArray[np.float32]]
) -> list[Fit]:
    """Linear probes of vectors that are in memory, each [n samples, width] in the samples' order.

    The very fits that `probe` would store for the same vectors, without a control.
    """
    options = LinearOptions()
    missing: dict[Locus, tuple[Target, ...]] = {locus: (Target("none", 0),) for locus in vectors}
    workers = cores()
    jobs = (
        Job(job.loci, job.targets, torch.stack([torch.from_numpy(vectors[x]) for x in job.loci]))
        for job in _jobs(missing, samples, options, workers)
    )
    fits = in_order(jobs, partial(_fit, subject, options, samples), workers)
    return [fit for part in fits for fit in part]


def subject_of(model_id: str, dataset_id: str, samples: Samples) -> Subject:
    """The subject of linear probes with the default settings."""
    return Subject(model_id, dataset_id, "linear", settings_of(LinearOptions(), samples))


def _jobs(
    missing: dict[Locus, tuple[Target, ...]], samples: Samples, options: Options, workers: int
) -> Iterator[Job]:
    """Loci grouped by module, readout width and missing targets, cut into chunks."""
    groups: dict[tuple[Any, ...], list[Locus]] = {}
    for locus, targets in missing.items():
        if targets:
            wide = locus.readout == "grid"
            groups.setdefault((locus.module, locus.width, wide, targets), []).append(locus)
    for (_, width, wide, targets), loci in groups.items():
        width *= 4 if wide else 1
        most = _most_loci(width, len(samples.ids), len(targets), options)
        size = max(1, min(most, -(-len(loci) // workers)))
        for start in range(0, len(loci), size):
            yield Job(loci[start : start + size], targets)


def _most_loci(width: int, n_samples: int, n_targets: int, options: Options) -> int:
    """How many loci of one width fit a chunk."""
    budget = CPU_CHUNK_BYTES if options.device == "cpu" else GPU_CHUNK_BYTES
    features = 4 * n_samples * width
    if isinstance(options, LinearOptions):
        features += 4 * n_samples * min(n_samples, width)
        return min(budget // features, MAX_LOCI if options.device == "cpu" else budget)
    state = 16 * n_targets * width * options.hidden  # weights, gradients and two moments
    return min(budget // features, MLP_STATE_BYTES // state)


def _parts(
    job: Job, samples: Samples, dataset_id: str, options: Options
) -> tuple[Part, Part, Tensor]:
    """Train and val with one row of labels per target, and the test features."""
    labels: dict[str, list[np.ndarray]] = {"train": [], "val": []}
    for target in job.targets:
        shuffled = (
            shuffled_labels(samples, dataset_id, target.seed)
            if target.control == "shuffled_labels"
            else {name: samples.class_index[samples.rows(name)] for name in labels}
        )
        for name in labels:
            labels[name].append(shuffled[name])
    assert job.features is not None
    dtype = options.dtype if isinstance(options, LinearOptions) else torch.float32
    features = job.features.to(options.device, dtype)
    train, val = (
        Part(
            features[:, samples.rows(name)],
            torch.from_numpy(np.stack(labels[name])).to(options.device),
        )
        for name in labels
    )
    return train, val, features[:, samples.rows("test")]


def _fit(subject: Subject, options: Options, samples: Samples, job: Job) -> list[Fit]:
    if isinstance(options, LinearOptions):
        return _fit_linear(subject, options, samples, job)
    return _fit_mlp(subject, options, samples, job)


def _fit_linear(subject: Subject, options: LinearOptions, samples: Samples, job: Job) -> list[Fit]:
    started = time.perf_counter()
    parts = _parts(job, samples, subject.dataset_id, options)
    fits = fit_linear(*parts, samples.n_classes, options=options)
    seconds = (time.perf_counter() - started) / (len(job.loci) * len(job.targets))
    return [
        Fit(
            locus,
            target,
            fits.val_logits[row, column],
            fits.test_logits[row, column],
            {
                "C": float(f"{fits.penalty[row, column]:.6g}"),
                "val_accuracy": float(fits.val_accuracy[:, row, column].max()),
                "converged": bool(fits.converged[row, column]),
            },
            seconds,
        )
        for row, locus in enumerate(job.loci)
        for column, target in enumerate(job.targets)
    ]


def _fit_mlp(subject: Subject, options: MlpOptions, samples: Samples, job: Job) -> list[Fit]:
    started = time.perf_counter()
    train, val, test = _parts(job, samples, subject.dataset_id, options)
    seeds = tuple(target.seed for target in job.targets)
    fits = fit_mlp(train, val.features, test, samples.n_classes, seeds, options)
    seconds = (time.perf_counter() - started) / (len(job.loci) * len(job.targets))
    return [
        Fit(
            locus,
            target,
            fits.val_logits[row, column],
            fits.test_logits[row, column],
            {"train_loss": float(fits.train_loss[row, column])},
            seconds,
        )
        for row, locus in enumerate(job.loci)
        for column, target in enumerate(job.targets)
    ]


def _warnings(fits: list[Fit]) -> list[str]:
    return [
        f"the probe of {fit.locus} ({fit.target.control}, seed {fit.target.seed}) did not converge"
        for fit in fits
        if not fit.chosen.get("converged", True)
    ]


def _coverage_warning(samples: Samples) -> list[str]:
    if len(samples.ids) == samples.n_registered:
        return []
    return [
        f"only {len(samples.ids)} of {samples.n_registered} samples were extracted; "
        "probes and scores are about those"
    ]
