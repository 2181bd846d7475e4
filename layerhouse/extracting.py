"""`layerhouse.extract`: run a model over a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from layerhouse.arguments import Place, Several, known_options, lake_at, several
from layerhouse.parts import part
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.progress import Progress

if TYPE_CHECKING:
    from extract.running.dry_run import Outlook
    from extract.sharing.job import ExtractRequest
    from extract.sharing.ledger import ExtractSummary

ENGINES = ("local", "ray")


class ExtractOptions(TypedDict, total=False):
    """What `layerhouse extract --help` explains; every one may be left out."""

    readout: Several
    module: Several
    layer: int | str | Sequence[int | str]
    adapter: str | PathLike[str] | None
    random_weights: int | None
    fault: Several
    answer: Several
    device: str
    dtype: str
    quantization: str | None
    device_map: str | PathLike[str] | None
    batch_size: str | int
    limit: int | None
    workers: int | None
    engine: str
    ray_address: str | None
    max_pixels: int
    skip_bad: bool
    preparers: int | None


@overload
def extract(
    model: str | PathLike[str],
    dataset: str | PathLike[str],
    *,
    dry_run: Literal[False] = False,
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[ExtractOptions],
) -> ExtractSummary: ...


@overload
def extract(
    model: str | PathLike[str],
    dataset: str | PathLike[str],
    *,
    dry_run: Literal[True],
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[ExtractOptions],
) -> Outlook: ...


@part("extract")
def extract(
    model: str | PathLike[str],
    dataset: str | PathLike[str],
    *,
    dry_run: bool = False,
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[ExtractOptions],
) -> ExtractSummary | Outlook:
    """Run a model over a dataset and write its activations and answers into the lake.

    `model` is a registry name, a local Hugging Face folder or a hub id; `dataset` a registered
    dataset, a folder of classes or a manifest. Options that take several words (`readout`,
    `module`, `layer`, `fault`, `answer`) take one or a list; `layerhouse extract --help` explains
    all. With `dry_run` nothing is written and what would be done is returned instead.

    Rejected images are a LayerhouseError at the end unless `skip_bad` is given; all others are in
    the lake by then, and the table rejected_sample has the reasons.
    """
    from extract.engines.local import extract_with_workers
    from extract.running.dry_run import outlook

    chosen = known_options("extract", options, ExtractOptions)
    where = lake_at(lake)
    workers, engine = chosen.pop("workers", None), chosen.pop("engine", "local")
    address, skip_bad = chosen.pop("ray_address", None), chosen.pop("skip_bad", False)
    request = _request(model, dataset, chosen)
    if dry_run:
        return outlook(where, request)
    if engine == "ray":
        from extract.engines.ray import extract_with_ray

        summary = extract_with_ray(where, request, workers, address, progress)
    elif engine == "local":
        summary = extract_with_workers(where, request, workers or 1, progress)
    else:
        raise UsageError(f"unknown engine {engine!r}{nearest(engine, ENGINES)}")
    if summary.rejected and not skip_bad:
        raise LayerhouseError(
            f"{rejected(summary)}; all others are in the lake, skip_bad accepts that"
        )
    return summary


def rejected(summary: ExtractSummary) -> str:
    """How many samples were rejected, and the first with its reason."""
    n, (name, reason) = len(summary.rejected), next(iter(summary.rejected.items()))
    return (
        f"{n:,} of {summary.n_samples + n:,} samples were rejected (table rejected_sample), "
        f"first {name}: {reason}"
    )


def _request(
    model: str | PathLike[str], dataset: str | PathLike[str], options: dict[str, Any]
) -> ExtractRequest:
    from extract.sharing.job import ExtractRequest

    named: dict[str, Any] = {
        f"{name}s": several(options.pop(name))
        for name in ("readout", "module", "layer", "fault", "answer")
        if name in options
    }
    return ExtractRequest(str(model), str(dataset), **named, **options)
