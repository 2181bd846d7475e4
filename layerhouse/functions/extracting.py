"""`layerhouse.extract`: run a model over a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from layerhouse.functions.arguments import Place, Several, known_options, lake_at, several
from layerhouse.functions.names import refuse_unknown_to_run
from layerhouse.functions.running import RunOptions, requested
from layerhouse.parts import part
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.lake import Lake
from warehouse.progress import Progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from extract.models import GivenModel
    from extract.running import Outlook
    from extract.sharing import ExtractRequest, ExtractSummary

ENGINES = ("local", "ray")
OF_THE_RUN = ("engine", "workers", "ray_address", "skip_bad")
"""Options that say how an extraction is run; the others say what is extracted."""


class ExtractOptions(RunOptions, total=False):
    """What `layerhouse extract --help` explains; every one may be left out."""

    readout: Several
    random_weights: int | None
    answer: Several
    limit: int | None
    workers: int | None
    engine: str
    ray_address: str | None
    max_new_tokens: int | None
    preparers: int | None
    orders: str
    answers_only: bool
    image_control: Several
    samples: int | None
    temperature: float | None


@overload
def extract(
    model: str | PathLike[str] | PreTrainedModel,
    dataset: str | PathLike[str],
    *,
    processor: Any = None,
    name: str | None = None,
    dry_run: Literal[False] = False,
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[ExtractOptions],
) -> ExtractSummary: ...


@overload
def extract(
    model: str | PathLike[str] | PreTrainedModel,
    dataset: str | PathLike[str],
    *,
    processor: Any = None,
    name: str | None = None,
    dry_run: Literal[True],
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[ExtractOptions],
) -> Outlook: ...


@part("extract")
def extract(
    model: str | PathLike[str] | PreTrainedModel,
    dataset: str | PathLike[str],
    *,
    processor: Any = None,
    name: str | None = None,
    dry_run: bool = False,
    lake: Place = None,
    progress: Progress | None = None,
    **options: Unpack[ExtractOptions],
) -> ExtractSummary | Outlook:
    """Run a model over a dataset and write its activations and answers into the lake.

    `model` is a registry name, a local Hugging Face folder or a hub id; `dataset` a registered
    dataset, a folder of classes or a manifest. Options that take several words (`readout`,
    `module`, `layer`, `fault`, `answer`, `prompt`, `image_control`) take one or a list;
    `layerhouse extract --help` explains all. With `dry_run` nothing is written and what would be
    done is returned instead.

    Rejected images are a LayerhouseError at the end unless `skip_bad` is given; all others are in
    the lake by then, and the table rejected_sample has the reasons.

    A loaded model of transformers may stand in the place of a name: give its `processor` beside it
    and the `name` that it shall have in the lake. It is run as it is and where it is, in this
    process; its weights, settings and processor are fingerprinted, so that another model under that
    name is refused. Code that changes what it does, such as a hook, is for its name to tell.
    """
    chosen = known_options("extract", options, ExtractOptions)
    refuse_unknown_to_run(lake_at(lake), model, str(dataset), chosen)
    from extract.models import collecting_nothing

    with collecting_nothing():
        from extract.running import outlook  # torch

    request = _request(_meant(model, processor, name), dataset, chosen)
    if dry_run:
        return outlook(lake_at(lake), request)
    with _evaluating(request.model):
        summary = _run(lake_at(lake), request, chosen, progress)
    if summary.rejected and not chosen.get("skip_bad"):
        raise LayerhouseError(
            f"{rejected(summary)}; all others are in the lake, skip_bad accepts that"
        )
    return summary


def is_extracted(
    model: str, dataset: str, *, lake: Place = None, **options: Unpack[ExtractOptions]
) -> bool:
    """Whether the lake holds all that `extract` would add, of this very model and dataset.

    Neither weights nor images are read but for their checksums. Raises LayerhouseError as `extract`
    does where the lake holds another model of this name.
    """
    from extract.sharing import job_is_done, look_up, refuse_other_identity

    chosen = known_options("extract", options, ExtractOptions)
    job = look_up(lake_at(lake), _request(model, dataset, chosen))
    refuse_other_identity(job)
    return job_is_done(job)


def rejected(summary: ExtractSummary) -> str:
    """How many samples were rejected, and the first with its reason."""
    n, (name, reason) = len(summary.rejected), next(iter(summary.rejected.items()))
    return (
        f"{n:,} of {summary.n_samples + n:,} samples were rejected (table rejected_sample), "
        f"first {name}: {reason}"
    )


def _meant(
    model: str | PathLike[str] | PreTrainedModel, processor: Any, name: str | None
) -> str | GivenModel:
    """A model by name, or the one in memory under the name it was given."""
    if isinstance(model, str | PathLike):
        if processor is not None or name is not None:
            raise UsageError(
                f"{model} brings its own name and processor; these two belong to a model in memory"
            )
        return str(model)
    if processor is None or name is None:
        raise UsageError("a model in memory needs its processor= and a name= for the lake")
    from extract.models import GivenModel

    return GivenModel(name, model, processor)


def _request(
    model: str | GivenModel, dataset: str | PathLike[str], options: Mapping[str, Any]
) -> ExtractRequest:
    asked = {name: given for name, given in options.items() if name not in OF_THE_RUN}
    if "image_control" in asked:
        asked["image_control"] = [
            control.replace("-", "_") for control in several(asked["image_control"])
        ]
    return requested(model, dataset, asked)


def _run(
    lake: Lake, request: ExtractRequest, options: Mapping[str, Any], progress: Progress | None
) -> ExtractSummary:
    """Extract where and by how many workers it was asked for."""
    from extract.engines import extract_with_workers

    engine, workers = options.get("engine", "local"), options.get("workers")
    if engine not in ENGINES:
        raise UsageError(f"unknown engine {engine!r}{nearest(engine, ENGINES)}")
    if not isinstance(request.model, str) and (engine != "local" or (workers or 1) > 1):
        raise UsageError("a model in memory is run in this process; leave out engine and workers")
    if engine == "local":
        return extract_with_workers(lake, request, workers or 1, progress)
    from extract.engines import extract_with_ray

    return extract_with_ray(lake, request, workers, options.get("ray_address"), progress)


@contextmanager
def _evaluating(model: str | GivenModel) -> Iterator[None]:
    """A model in memory goes back to training after the block if it comes from there."""
    training = not isinstance(model, str) and model.model.training
    try:
        yield
    finally:
        if not isinstance(model, str):
            model.model.train(training)
