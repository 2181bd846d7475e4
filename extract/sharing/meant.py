"""Meant: which model a request means, on which device and in which numbers."""

from extract.models import (
    GivenModel,
    ModelSource,
    choose_device,
    choose_dtype,
    locate,
    parse_placement,
)
from extract.sharing.request import ExtractRequest
from warehouse.errors import UsageError


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
