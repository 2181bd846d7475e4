"""Loading: from a model's files to a model that is what it claims to be, ready to run.

Which files those are is decided in `sources`, the device and the numbers in `devices`, where the
weights lie in `placement`, what they are in `weights`, and what a class of somebody's own does in
`plugins`; here these are put together.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extract.models.devices import choose_device, choose_dtype
from extract.models.given import GivenModel
from extract.models.plugins import ModelPlugin, plugin_for
from extract.models.published import layout_of
from extract.models.sources import ModelSource, locate
from extract.models.weights import load_weights, merge_adapter, untrained
from warehouse.errors import LayerhouseError, UsageError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run: in evaluation mode, on its device, with its processor."""

    source: ModelSource | GivenModel
    model: Any
    processor: Any
    device: "torch.device"
    dtype: "torch.dtype"
    plugin: ModelPlugin | None = None

    @property
    def model_type(self) -> str:
        return str(self.model.config.model_type)

    @property
    def n_parameters(self) -> int:
        return int(self.model.num_parameters())  # packed 4-bit weights count as what they stand for


def load(
    model: str | ModelSource | GivenModel, *, device: str = "auto", dtype: str = "auto"
) -> LoadedModel:
    """Load a model, given by name or already located, with its processor.

    A model that is in memory already stays on its device and in its dtype.

    Raises LayerhouseError with counts and first names for missing, unexpected or misshapen weights,
    for a text-only model, and for a model whose own code would have to run.
    """
    import torch

    if isinstance(model, GivenModel):
        return _as_given(model)
    source = locate(model) if isinstance(model, str) else model
    where = torch.device(choose_device(device))
    kind: torch.dtype = getattr(torch, choose_dtype(dtype, str(where)))
    plugin = plugin_for(source.config)
    if plugin is not None:
        _refuse_placement(source)
        loaded, processor = plugin.load(source.folder, kind), plugin.processor(source.folder)
    else:
        from extract.models.processors import load_processor

        _refuse_foreign_code(source)
        processor = load_processor(source.folder, source.entry)
        if source.random_seed is not None:
            loaded = untrained(source, kind, source.random_seed)
        else:
            loaded = load_weights(source, kind, where)
    if not source.placement.placed:
        loaded = loaded.to(where)
    if source.adapter is not None:
        loaded = merge_adapter(loaded, source.adapter)
    if source.placement.device_map is not None:
        where = loaded.get_input_embeddings().weight.device
        where = where if where.type != "meta" else torch.device("cpu")
    return LoadedModel(source, loaded.eval(), processor, where, kind, plugin)


def _as_given(source: GivenModel) -> LoadedModel:
    import torch

    where, kind = torch.device(source.device), getattr(torch, source.dtype)
    plugin = plugin_for(source.config)
    return LoadedModel(source, source.model.eval(), source.left_padded, where, kind, plugin)


def _refuse_placement(source: ModelSource) -> None:
    if source.placement.placed or source.random_seed is not None:
        raise UsageError(
            f"{source.name} is loaded by a plug-in, whole and on one device; leave out "
            "--quantization, --device-map and --random-weights"
        )


def _refuse_foreign_code(source: ModelSource) -> None:
    """A model that no class here can hold, and whose repository brings one of its own."""
    from transformers import CONFIG_MAPPING

    kind = source.config.get("model_type", "unknown")
    if "auto_map" not in source.config or kind in CONFIG_MAPPING:
        return
    if layout_of(source.folder, source.entry) is None:
        raise LayerhouseError(
            f"{source.name} ({kind}) needs code from its own repository, which is not run; convert "
            "it to a class of transformers, or write a plug-in (docs/adding-a-model.md)"
        )
