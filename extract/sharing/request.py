"""Requests: what a person asks to have extracted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.answering import Sampling
from extract.models import GivenModel
from extract.reading import Layers, check_names, readout_named
from extract.sharing.batch_sizes import batch_size_of
from warehouse.errors import UsageError, nearest
from warehouse.images import MAX_PIXELS
from warehouse.vocabulary import GENERATE, GIVEN_ONLY, IMAGE_CONTROLS, METHODS, SWEPT_ORDERS


@dataclass(frozen=True)
class ExtractRequest:
    """What to extract, of a model by name or one that is in memory.

    `modules`, `layers` and `readouts` choose loci as `selection.select` says; `faults` are
    texts like `swap@vision:0.5`; `limit` takes the first samples of the dataset's mixed order;
    `preparers` processes prepare images ahead of the model (0: a thread; None: by the machine);
    images of more than `max_pixels` pixels are rejected; a reply is cut after `max_new_tokens`, by
    default what the registry says; `random_weights` is the seed of an
    untrained model of the same architecture, to be run in its place; `quantization` and
    `device_map` are as `extract.models.placement.parse_placement` takes them. `prompts` are names
    or files of prompts, `system` a text in the place of theirs; with `answers_only` no activation
    is taken and the prompts are swept, in each of the `orders` of the classes and besides with the
    images of the `image_controls`. Besides the greedy reply, `samples` more are drawn at a
    `temperature`. `trained_on` says what the model saw in training, see `seen.find_seen`.
    """

    model: str | GivenModel
    dataset: str
    readouts: Sequence[str] = ()
    modules: Sequence[str] = ()
    layers: Layers = ()
    adapter: str | Path | None = None
    faults: Sequence[str] = ()
    device: str = "auto"
    dtype: str = "auto"
    batch_size: str | int = "auto"
    quantization: str | None = None
    device_map: str | Path | None = None
    limit: int | None = None
    answers: Sequence[str] = METHODS
    random_weights: int | None = None
    preparers: int | None = None
    max_pixels: int = MAX_PIXELS
    max_new_tokens: int | None = None
    prompts: Sequence[str] = ()
    system: str | None = None
    orders: str = GIVEN_ONLY
    answers_only: bool = False
    image_controls: Sequence[str] = ()
    samples: int | None = None
    temperature: float | None = None
    trained_on: Sequence[str] = ()

    @property
    def loci(self) -> dict[str, Any]:
        """Which loci are asked for, as a run's configuration says it."""
        is_number = isinstance(self.layers, int)
        layers = self.layers if is_number else list(map(str, self.layers))
        return {"modules": list(self.modules), "layers": layers}

    @property
    def methods(self) -> tuple[str, ...]:
        """Every way in which it is answered, by the names of the lake's methods."""
        if self.samples is None or self.temperature is None:
            return tuple(self.answers)
        return (*self.answers, Sampling(self.samples, float(self.temperature)).name)


LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.01, 100.0
"""Below, draws are the greedy reply; above, any token is as likely as any other."""


def refuse_unmeant(request: ExtractRequest) -> None:
    """Raise UsageError for what cannot be meant, whatever the model and the dataset."""
    check_names(request.modules, request.readouts)
    for method in request.answers:
        if method not in METHODS:
            raise UsageError(f"unknown way of answering {method!r}{nearest(method, METHODS)}")
    batch_size_of(request.batch_size)
    if request.limit is not None and request.limit < 1:
        raise UsageError("the limit must be at least 1 sample")
    if request.max_pixels < 1:
        raise UsageError("an image must be allowed at least 1 pixel")
    if request.max_new_tokens is not None and request.max_new_tokens < 1:
        raise UsageError("a reply must be allowed at least 1 token")
    if request.max_new_tokens is not None and GENERATE not in request.answers:
        raise UsageError("only generated replies have a length; add the answer generate")
    _refuse_unmeant_samples(request)
    followed = [name for name in request.readouts if readout_named(name).facts.follows_a_reply]
    if followed and GENERATE not in request.answers:
        raise UsageError(
            f"the readout {followed[0]} is taken behind replies; add the answer {GENERATE}"
        )
    if request.orders not in SWEPT_ORDERS:
        raise UsageError(
            f"unknown orders {request.orders!r}{nearest(request.orders, SWEPT_ORDERS)}"
        )
    for control in request.image_controls:
        if control not in IMAGE_CONTROLS:
            raise UsageError(f"unknown image control {control!r}{nearest(control, IMAGE_CONTROLS)}")
    if request.image_controls and not request.answers_only:
        raise UsageError("activations are those of the samples' own images; add --answers-only")
    narrowed = request.modules or request.layers or request.readouts
    if request.answers_only and narrowed:
        raise UsageError("with answers only no layer is read; leave out module, layer and readout")
    if request.answers_only and not request.answers:
        raise UsageError("with answers only there is something to answer; name generate")


def _refuse_unmeant_samples(request: ExtractRequest) -> None:
    n, temperature = request.samples, request.temperature
    if n is None and temperature is None:
        return
    if n is None:
        raise UsageError("greedy replies have no temperature; say how many to draw with --samples")
    if temperature is None:
        raise UsageError(
            "drawn replies need a --temperature: 1 is the model's own, less is closer to greedy"
        )
    if n < 2:
        raise UsageError(f"a majority needs at least 2 samples, not {n}")
    if not LEAST_TEMPERATURE <= temperature <= MOST_TEMPERATURE:
        raise UsageError(
            f"the temperature must lie between {LEAST_TEMPERATURE} and {MOST_TEMPERATURE:g}, not "
            f"at {temperature:g}; a greedy reply is given without --samples"
        )
    if GENERATE not in request.answers:
        raise UsageError("samples are drawn of generated replies; add the answer generate")
