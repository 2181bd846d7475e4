"""Loading: from a model's files to a model that is what it claims to be, ready to run.

Which files those are is decided in `sources`, the device and the numbers in `devices`, where the
weights lie in `placement`, what they are in `weights`, and what a class of somebody's own does in
`plugins`; here these are put together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from extract.models.adapters import merge_adapter
from extract.models.collecting import collecting_nothing
from extract.models.devices import choose_device, choose_dtype
from extract.models.files import LOCAL, failing_as
from extract.models.given import GivenModel
from extract.models.plugins import ModelPlugin, plugin_for
from extract.models.preflight import unused_settings
from extract.models.prompt_entries import Wording
from extract.models.prompts import Prompt, prompt_notes, prompt_of
from extract.models.published import layout_of
from extract.models.quantized import count_weights
from extract.models.quiet import quiet
from extract.models.sources import ModelSource, locate
from extract.models.templates import Template, carried_template, unused_template
from extract.models.weights import (
    empty_matrices,
    load_weights,
    refuse_endless,
    refuse_unknown_dtype,
    untrained,
)
from warehouse.errors import LayerhouseError, UsageError

if TYPE_CHECKING:
    import torch

    from extract.models.processors import ReadyProcessor


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run: in evaluation mode, on its device, with its processor.

    `dtype` is that of its activations; `notes` are worth showing.
    """

    source: ModelSource | GivenModel
    model: Any
    processor: Any
    device: "torch.device"
    dtype: "torch.dtype"
    template: Template
    plugin: ModelPlugin | None = None
    notes: tuple[str, ...] = ()

    @property
    def model_type(self) -> str:
        return str(self.model.config.model_type)

    @property
    def remedy(self) -> str:
        """What may help where it makes numbers of a sample that are not finite: more precision, as
        far as there is more to be had, else that the sample is left out.
        """
        import torch

        if getattr(self.source, "quantization", None) is not None:
            return "try it with weights that are not quantised"
        if self.dtype != torch.float32:
            given = isinstance(self.source, GivenModel)
            return "give the model in float32" if given else "try --dtype float32"
        aside = "leave the sample out (layerhouse datasets remove)"
        return aside if self.device.type == "cpu" else f"try --device cpu, or {aside}"

    @property
    def n_parameters(self) -> int:
        return count_weights(self.model)


def load(
    model: str | ModelSource | GivenModel,
    *,
    device: str = "auto",
    dtype: str = "auto",
    change: Callable[[LoadedModel], None] | None = None,
) -> LoadedModel:
    """Load a model, given by name or already located, with its processor.

    A model that is in memory already stays on its device and in its dtype, and as it is. Of any
    other, `change` may change the weights, before an adapter is merged into them.

    Raises LayerhouseError with counts and first names for missing, unexpected or misshapen weights,
    for a text-only model, and for a model whose own code would have to run.
    """
    import torch

    if isinstance(model, GivenModel):
        return _as_given(model)
    source = locate(model) if isinstance(model, str) else model
    where = torch.device(choose_device(device))
    kind: torch.dtype = getattr(torch, choose_dtype(dtype, str(where)))
    with quiet():
        return _loaded(source, where, kind, change)


def _loaded(
    source: ModelSource,
    where: "torch.device",
    kind: "torch.dtype",
    change: Callable[[LoadedModel], None] | None,
) -> LoadedModel:
    import torch

    ready, plugin = _processor_of(source), plugin_for(source.config)
    notes = ready.notes
    if plugin is not None:
        with failing_as(f"{source.name} cannot be loaded by its plug-in"):
            loaded = plugin.load(source.folder, kind)
    elif source.random_seed is not None:
        loaded = untrained(source, kind, source.random_seed)
    else:
        loaded = load_weights(source, kind, where)
        notes += empty_matrices(loaded)
    if not source.placement.placed and source.quantization is None:
        loaded = loaded.to(where)
    if source.placement.device_map is not None:
        where = loaded.get_input_embeddings().weight.device
        where = where if where.type != "meta" else torch.device("cpu")
    if source.quantization is not None and loaded.dtype.is_floating_point:
        kind = loaded.dtype  # some methods have kernels for one dtype only
    parts = ready.processor, where, kind, ready.template, plugin
    base = LoadedModel(source, loaded.eval(), *parts, notes)
    if change is not None:
        change(base)
    if source.adapter is None or source.answer_part is not None:
        return base
    merged, told = merge_adapter(source, base.model)
    notes += (*told, *unused_template(source.adapter, source.folder))
    notes += unused_settings(source.adapter, source.folder)
    return replace(base, model=merged.eval(), notes=notes)


def read_prompts(source: ModelSource | GivenModel, wordings: Sequence[Wording]) -> list[Prompt]:
    """The prompts that a model gets of what is said to it, found without loading its weights.

    Raises LayerhouseError for a processor that is incomplete or has a template that fails.
    """
    with collecting_nothing(), quiet():  # here most of transformers is imported
        ready = source.ready if isinstance(source, GivenModel) else _processor_of(source)
    found = []
    for wording in wordings:
        prompt = prompt_of(ready.processor, wording, ready.template)
        about = prompt_notes(ready.processor, prompt, wording.question)
        found.append(replace(prompt, notes=(*ready.notes, *about)))
    return found


def _processor_of(source: ModelSource) -> "ReadyProcessor":
    from extract.models.processors import ReadyProcessor, ready_processor

    plugin = plugin_for(source.config)
    if plugin is None:
        _refuse_other_kinds(source)
        return ready_processor(source.folder, source.entry)
    _refuse_placement(source)
    with failing_as(f"the processor of {source.name} cannot be loaded by its plug-in"):
        processor = plugin.processor(source.folder)
    return ReadyProcessor(processor, carried_template(processor, "the plug-in's processor"))


def _as_given(source: GivenModel) -> LoadedModel:
    import torch

    where, kind = torch.device(source.device), getattr(torch, source.dtype)
    plugin, ready = plugin_for(source.config), source.ready
    processor, template = ready.processor, ready.template
    model = source.model.eval()
    return LoadedModel(source, model, processor, where, kind, template, plugin, ready.notes)


def foreign_processor(loaded: LoadedModel) -> str:
    """A trailing clause that names a processor of another family than the model's, else nothing.

    Some folders name one rightly, so it is no fault before something fails. One of images that
    makes the same of them is none: most LLaVAs have CLIP's.
    """
    import transformers
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    images = getattr(loaded.processor, "image_processor", None)
    backends = IMAGE_PROCESSOR_MAPPING_NAMES.get(loaded.model_type)
    pairs = (
        (loaded.processor, PROCESSOR_MAPPING_NAMES.get(loaded.model_type)),
        (images, backends.get("pil") if isinstance(backends, dict) else None),
    )
    for part, due in pairs:
        name = type(part).__name__
        if part is None or not due or name in ("RowwiseProcessor", str(due)):
            continue
        made = getattr(getattr(transformers, str(due), None), "model_input_names", None)
        if part is images and made is not None and made == getattr(part, "model_input_names", 0):
            continue
        other, own = name.removesuffix("Pil"), str(due).removesuffix("Pil")
        return f"; {other} prepares its input, where a {loaded.model_type} model has a {own}"
    return ""


def _refuse_placement(source: ModelSource) -> None:
    if source.placement.placed or source.random_seed is not None:
        raise UsageError(
            f"{source.name} is loaded by a plug-in, whole and on one device; leave out "
            "--quantization, --device-map and --random-weights"
        )


def _refuse_other_kinds(source: ModelSource) -> None:
    """A model that no class here can hold, or that takes no images."""
    import transformers
    from transformers.models.auto import modeling_auto

    refuse_endless(source.folder, source.config)
    refuse_unknown_dtype(source.folder, source.config)
    kind = source.config.get("model_type")
    if layout_of(source.folder, source.entry) is not None:
        return
    if not isinstance(kind, str):
        raise LayerhouseError(
            f"{source.folder}/config.json says no model_type, so that its class is not known; take "
            "the config.json of the model that it was made from"
        )
    if kind in modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        with failing_as(f"{source.folder}/config.json describes no {kind} model"):
            transformers.AutoConfig.from_pretrained(source.folder, **LOCAL)
        return
    if kind in transformers.CONFIG_MAPPING:
        raise LayerhouseError(
            f"{source.name} is a {kind} model, which takes no images together with text; give an "
            "image-text-to-text model"
        )
    if "auto_map" in source.config:
        raise LayerhouseError(
            f"{source.name} ({kind}) needs code from its own repository, which is not run; convert "
            "it to a class of transformers, or write a plug-in (docs/adding-a-model.md)"
        )
    raise LayerhouseError(
        f"{source.name} is a {kind} model, for which this transformers "
        f"({transformers.__version__}) has no class; a newer release may, else convert it, or "
        "write a plug-in (docs/adding-a-model.md)"
    )
