"""Meant: which model a request means, on which device and in which numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from extract.faults import Fault, parse_fault, strikes_weights, variant_of
from extract.models import (
    MEND_RECORD,
    GivenModel,
    ModelSource,
    choose_device,
    choose_dtype,
    locate,
    parse_placement,
    refuse_changed_repair,
)
from extract.reading import readout_named
from extract.sharing.request import ExtractRequest
from warehouse.errors import LayerhouseError, UsageError
from warehouse.untrusted import read_object
from warehouse.variants import with_variant
from warehouse.vocabulary import GENERATE, LIKELIHOOD, METHODS


def source_of(request: ExtractRequest) -> tuple[ModelSource | GivenModel, str, str]:
    """The model that is meant, its device and its dtype."""
    model = request.model
    if isinstance(model, GivenModel):
        for name in ("adapter", "random_weights", "quantization", "device_map", "device", "dtype"):
            if getattr(request, name) not in (None, "auto"):
                raise UsageError(
                    f"a model in memory is run as it is and where it is; leave out {name}"
                )
        return model, model.device, model.dtype
    placement = parse_placement(request.quantization, request.device_map)
    source = locate(model, request.adapter, request.random_weights, placement)
    device = choose_device(request.device)
    return source, device, choose_dtype(request.dtype, device)


def meant_model_id(
    model: str,
    *,
    adapter: Path | None = None,
    random_weights: int | None = None,
    quantization: str | None = None,
    device_map: str | None = None,
    fault: Sequence[str] = (),
) -> str:
    """The id that the lake gives a model with what is done to it, by files on this machine alone.

    Raises LayerhouseError where they are not there, or are none of a model.
    """
    faults = [parse_fault(spec) for spec in fault]
    placement = parse_placement(quantization, device_map)
    return model_id_of(locate(model, adapter, random_weights, placement, fetch=False), faults)


def model_id_of(source: ModelSource | GivenModel, faults: Sequence[Fault]) -> str:
    return with_variant(source.name, variant_of(source.variant, faults))


def refuse_other_repair(
    source: ModelSource | GivenModel, identity: Mapping[str, Any], faults: Sequence[Fault]
) -> None:
    """A repair was trained for certain weights, and certain damage of them; LayerhouseError where
    it is put on a model of another `identity`, or under other faults, or was changed since.
    """
    if isinstance(source, GivenModel) or source.adapter is None:
        return
    if not (source.adapter / MEND_RECORD).is_file():
        return
    base = read_object(source.adapter / MEND_RECORD).get("base")
    if not isinstance(base, dict):
        raise LayerhouseError(f"{source.adapter / MEND_RECORD} does not say for which model")
    damaged = weight_faults(faults)
    if base.get("faults") != damaged:
        wanted = base.get("faults") or ["no damage"]
        raise LayerhouseError(
            f"the repair {source.adapter.name} was trained on the model with "
            f"{', '.join(map(str, wanted))}, and is put on one with "
            f"{', '.join(damaged) or 'no damage'}; give it the faults that it was trained under"
        )
    if base.get("weights") != identity["weights"]:
        raise LayerhouseError(
            f"the repair {source.adapter.name} was trained on other weights than those of "
            f"{source.name}; mend this model"
        )
    for folder in filter(None, source.fold_repairs or (source.adapter,)):
        refuse_changed_repair(folder)


def answered_as_it_can(
    request: ExtractRequest, source: ModelSource | GivenModel, warn: Callable[[str], None]
) -> ExtractRequest:
    """The request by likelihood alone, of a model whose repair scores classes and changes no
    weights: replies would be those of the model without it. UsageError where one is asked for.
    """
    if isinstance(source, GivenModel):
        return request
    if source.fold_repairs and not request.answers_only:
        _refuse_states(request, source)
        warn(f"{source.variant} is one model for each fold: its answers alone are kept")
    if source.answer_part is None:
        return request
    is_replied = (
        (GENERATE in request.answers and set(request.answers) != set(METHODS))
        or request.samples is not None
        or request.max_new_tokens is not None
        or any(readout_named(name).facts.follows_a_reply for name in request.readouts)
    )
    if is_replied:
        raise UsageError(
            f"{source.variant} scores the classes and leaves what the model replies as it was; ask "
            "it for the answer likelihood alone"
        )
    answers = tuple(name for name in request.answers if name == LIKELIHOOD)
    if len(answers) < len(request.answers):
        warn(f"{source.variant} answers by likelihood alone: it scores the classes")
    return replace(request, answers=answers)


def _refuse_states(request: ExtractRequest, source: ModelSource) -> None:
    if request.readouts or request.modules or request.layers:
        raise UsageError(
            f"{source.variant} is one model for each fold, whose states no probe can be fitted on "
            "together; it answers alone: leave out module, layer and readout"
        )


def weight_faults(faults: Sequence[Fault]) -> list[str]:
    """The texts of the faults that strike weights."""
    return [str(fault) for fault in faults if strikes_weights([fault])]


def refuse_unchangeable(source: ModelSource | GivenModel) -> None:
    """Weights are changed as they are loaded, whole and on one device."""
    if isinstance(source, GivenModel):
        raise UsageError(
            "a fault of weights would change the model in memory for good; give it as a folder, or "
            "damage it yourself"
        )
    if source.quantization is not None or source.placement.placed:
        raise UsageError(
            "a fault of weights needs them in full precision on one device, before anything is "
            "packed; leave out --quantization and --device-map, or give the model unquantised"
        )
