"""Weights: from a model's files to its parameters, each of them from the files or refused.

transformers fills a weight that it does not find with random numbers and goes on; here that ends
the work. No code from a model's repository is run and no pickled weights are read.
"""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.models.files import (
    LOCAL,
    refuse_cut_off,
    refuse_empty,
    refuse_twice,
    refuse_two_names,
    weight_facts,
)
from extract.models.folders import clear_weights
from extract.models.placement import avoid_misfit_kernels, offload_folder, quantization_config
from extract.models.published import converted_config, layout_of
from extract.models.quantized import (
    decompress,
    everywhere,
    refuse_other_layers,
    refuse_unmarked,
    refuse_unreadable,
)
from extract.models.sources import ModelSource
from warehouse.errors import LayerhouseError, said
from warehouse.untrusted import memory

if TYPE_CHECKING:
    import torch


HEAD = "lm_head.weight"
PACKED = ("I8", "U8", "I16", "U16", "I32", "U32", "F8_E4M3", "F8_E5M2")
ENDS = (".weight", ".bias")
"""Dtypes of packed weights, and the names of weights that may not be packed without a word."""
OF_QUANTISATION = ("quantization_config", "compression_config")
DEPTHS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer", "depth")
MOST_LAYERS, MOST_PARTS = 1000, 250_000
"""More than any model has, experts counted; built in seconds where no number takes memory."""


def load_weights(
    source: ModelSource,
    dtype: "torch.dtype",
    device: "torch.device",
    kind: str = "AutoModelForImageTextToText",
) -> Any:
    """The model with every weight in its place, by the class of transformers that chooses it.

    Raises LayerhouseError with counts and first names for missing, unexpected or misshapen weights,
    for a model that takes no images, and for quantised weights whose package is missing.
    """
    import transformers

    paths = clear_weights(source.folder)
    refuse_unreadable(source.name, source.config)
    refuse_endless(source.folder, source.config)
    refuse_unknown_dtype(source.folder, source.config)
    try:
        config = _quantized_config(source, _model_config(source), dtype)
        _refuse_other_sizes(source, config)
        refuse_twice(paths)
        refuse_cut_off(paths)
        loader: Any = getattr(transformers, kind)
        model, info = loader.from_pretrained(
            source.folder,
            config=config,
            dtype=dtype,
            key_mapping=dict(source.entry.key_mapping) if source.entry else None,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are reported, and refused below
            use_safetensors=True,
            **LOCAL,
            **_placed(source, dtype, device),
        )
    except Exception as error:  # libraries raise anything over files that are not as they expect
        if not isinstance(error, ImportError):
            refuse_unmarked(source.folder, source.config)
        raise _explained(source, error) from error
    refuse_unmarked(source.folder, source.config)
    _refuse_unmatched(source, info)
    refuse_two_names(paths, _place_of_names(source, model))
    if source.published_quantization is not None:
        refuse_other_layers(model, source.folder)
    decompress(model)
    avoid_misfit_kernels(model)
    return model


def _place_of_names(source: ModelSource, model: Any) -> Callable[[str], str | None]:
    """Finds by a name in a model's files the weight of its class that transformers fills with it;
    None where there is none, or where several become one, as those of experts do."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

    own = dict(source.entry.key_mapping) if source.entry else None
    steps = get_model_conversion_mapping(model, own)
    renamings = [step for step in steps if isinstance(step, WeightRenaming)]
    converters = [step for step in steps if isinstance(step, WeightConverter)]
    held, around = model.state_dict(), model.base_model_prefix

    def place_of(name: str) -> str | None:
        place, converter = rename_source_key(name, renamings, converters, around, held)
        if place not in held and name in held:
            return name
        return place if place in held and converter is None else None

    return place_of


def empty_matrices(model: Any) -> tuple[str, ...]:
    """A note on matrices that hold nothing but zeros, of which a sound model has none: a download
    or a conversion lost them, unless somebody took them out on purpose.
    """
    found = [
        name
        for name, weight in model.named_parameters()
        if weight.is_floating_point()
        and not weight.is_meta
        and sum(side > 1 for side in weight.shape) > 1
        and not weight.flatten()[:1024].any()
        and not weight.any()
    ]
    if not found:
        return ()
    return (
        f"{len(found)} matrices of the model hold nothing but zeros, first {found[0]}: unless that "
        "is meant, its files are damaged; fetch them again",
    )


def untrained(source: ModelSource, dtype: "torch.dtype", seed: int) -> Any:
    """The model as its family initialises it, from a seed; the weights of its files are not read.

    Matrices and gates that a family starts at zero (gemma3's projection, mllama's gates) are opened
    too: they keep the image out, and a model that cannot see is no floor for one that can.
    """
    import torch
    import transformers

    loader: Any = transformers.AutoModelForImageTextToText
    try:
        config = _model_config(source)
        _refuse_oversized(source, config, dtype)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = loader.from_config(config, dtype=dtype)
            _open_closed(model, getattr(config.get_text_config(), "initializer_range", 0.02))
    except Exception as error:  # as above
        raise _explained(source, error) from error
    model.tie_weights()
    return model


def _open_closed(model: Any, spread: float) -> None:
    """Draw matrices that are all zero and set single zeros, which are gates, half open."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            if weight.any():
                continue
            if weight.numel() == 1:
                weight.fill_(0.5)
            elif weight.dim() >= 2:
                weight.normal_(0.0, spread)


def _model_config(source: ModelSource) -> Any:
    from transformers import AutoConfig

    if source.entry is not None and layout_of(source.folder, source.entry) is not None:
        return converted_config(source.folder, source.entry)
    config = AutoConfig.from_pretrained(source.folder, **LOCAL)
    config._attn_implementation = None  # what it was trained with may not be there, or is a kernel
    _name_outputs(config)
    return config


def _name_outputs(config: Any) -> None:
    """Some files ask for outputs as tuples (`return_dict` false), which changes no number and which
    the models' own code does not bear."""
    config.return_dict = True
    for name in config.sub_configs:
        if (inner := getattr(config, name, None)) is not None:
            _name_outputs(inner)


def _refuse_other_sizes(source: ModelSource, config: Any) -> None:
    """What config.json leaves out is a family's usual size, gigabytes of random weights; and what
    the files hold must be numbers that weights can be.
    """
    facts = weight_facts(source.folder)
    if source.published_quantization is not None:
        return
    refuse_empty(source.folder, facts)
    packed = {n: dtype for n, (dtype, _) in facts.items() if dtype in PACKED and n.endswith(ENDS)}
    for name, dtype in packed.items():
        raise LayerhouseError(
            f"{len(packed)} weights in {source.folder} are packed, first {name} ({dtype}), but "
            "config.json says nothing of a quantisation; put the quantization_config of the tool "
            "that packed them into it, or give the model in full precision"
        )
    text = config.get_text_config()
    names = ("vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size")
    sizes: list[Any] = [getattr(text, name, None) for name in names]
    if not all(type(n) is int for n in sizes):
        return
    vocabulary, width, layers, inner = sizes
    due = width * (vocabulary + 2 * layers * (width + inner))
    held = sum(size for _, size in facts.values())
    if due > 4 * held:
        raise LayerhouseError(
            f"{source.folder}/config.json describes a decoder of {due:,} weights or more, but the "
            f"files hold {held:,} in all; its text_config is not that of this model"
        )


def refuse_endless(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise LayerhouseError for modules of more layers than any has, which would be built, or only
    listed, for hours."""
    for name, value in config.items():
        if isinstance(value, dict):
            refuse_endless(folder, value)
        elif name in DEPTHS and type(value) is int and value > MOST_LAYERS:
            raise LayerhouseError(
                f"{folder}/config.json says {name} {value:,}, more than any model has; take the "
                "config.json of this model"
            )


def refuse_unknown_dtype(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise LayerhouseError for a name of a dtype that transformers does not read; those of a
    quantisation are its own."""
    import torch

    for name, value in config.items():
        if isinstance(value, dict) and name not in OF_QUANTISATION:
            refuse_unknown_dtype(folder, value)
    told = "dtype" if "dtype" in config else "torch_dtype"  # as older releases called it
    value = config.get(told)
    if isinstance(value, str) and not isinstance(getattr(torch, value, None), torch.dtype):
        plain = value.removeprefix("torch.")
        is_known = isinstance(getattr(torch, plain, None), torch.dtype)
        raise LayerhouseError(
            f"{folder}/config.json names the {told} {value!r}, which transformers does not read; "
            f"write {plain if is_known else 'float16, bfloat16 or float32'} there"
        )


def _refuse_oversized(source: ModelSource, config: Any, dtype: "torch.dtype") -> None:
    """Build it where no number takes memory, and raise LayerhouseError for too many parts or too
    many numbers: of a model that is not trained no files say how large it is."""
    import torch
    import transformers
    from torch.nn.modules import module

    parts = itertools.count(1)

    def counted(*_: object) -> None:
        if next(parts) > MOST_PARTS:
            raise LayerhouseError(
                f"{source.folder}/config.json describes more than {MOST_PARTS:,} modules; take the "
                "config.json of this model"
            )

    loader: Any = transformers.AutoModelForImageTextToText
    with module.register_module_module_registration_hook(counted), torch.device("meta"):
        model = loader.from_config(config, dtype=dtype)
    held = sum(one.numel() * one.element_size() for one in (*model.parameters(), *model.buffers()))
    if held > memory():
        raise LayerhouseError(
            f"{source.folder}/config.json describes a model of {held / 2**30:,.1f} GiB, more than "
            "this machine's memory"
        )


def _quantized_config(source: ModelSource, config: Any, dtype: "torch.dtype") -> Any:
    """A published quantisation with its products in the dtype that is asked for, as it is told."""
    told = getattr(config, "quantization_config", None)
    if isinstance(told, dict):
        config.quantization_config = everywhere(told)
        if source.published_quantization == "bitsandbytes":
            computes = {"bnb_4bit_compute_dtype": str(dtype).removeprefix("torch.")}
            config.quantization_config |= computes
    return config


def _placed(source: ModelSource, dtype: "torch.dtype", device: "torch.device") -> dict[str, Any]:
    """What `from_pretrained` is told about places and precisions of weights."""
    placement = source.placement
    options: dict[str, Any] = {}
    if source.published_quantization is not None:
        options["device_map"] = {"": device}
    if placement.quantization is not None:
        options["quantization_config"] = quantization_config(placement.quantization, dtype)
        options["device_map"] = {"": device}
    if placement.device_map is not None:
        options["device_map"] = placement.device_map
        options["offload_folder"] = offload_folder()
    return options


def _explained(source: ModelSource, error: Exception) -> LayerhouseError:
    config = source.config
    kind = config.get("model_type", "unknown")
    if isinstance(error, LayerhouseError):
        return error
    if isinstance(error, ImportError) and source.published_quantization is not None:
        return LayerhouseError(
            f"the weights of {source.name} are quantised ({source.published_quantization}), for "
            f"which a package is missing: {said(error)}"
        )
    return LayerhouseError(f"{source.name} ({kind}) cannot be loaded: {said(error)}")


def _refuse_unmatched(source: ModelSource, info: Any) -> None:
    told, way_out = [], "fetch its files again, or save it anew with the release that wrote it"
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        # A misshapen weight is reported as (name, shape in the file, shape in the model).
        keys = sorted(k if isinstance(k, str) else str(k[0]) for k in info.get(what) or [])
        if keys:
            kind = what.partition("_")[0]
            told.append(f"{len(keys)} {kind} weights, first {', '.join(keys[:3])}")
        if keys == [HEAD]:
            way_out = "where it shares its embeddings, set tie_word_embeddings in config.json"
    if told:
        raise LayerhouseError(
            f"{source.name} does not fit its class: {'; '.join(told)}; a model with random parts "
            f"would be measured: {way_out}"
        )
