"""Checkpoints whose weights were quantised before they were published, as their config.json says.

They run in the numbers they have, as a variant of the model: what is measured is never taken for
the model in full precision. transformers reads them, with the package of each method.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from extract.models.files import part_of, weight_facts
from warehouse.errors import LayerhouseError

MARKS: dict[str, tuple[str, ...]] = {
    "awq": (".qweight",),
    "gptq": (".qweight",),
    "bitsandbytes": (".quant_state.", ".SCB"),
    "compressed-tensors": ("_packed", "_scale"),
    "fp8": ("weight_scale_inv",),
    "fbgemm_fp8": ("weight_scale",),
}
"""Endings or parts of the names of weights that a method packs."""
WHOLE = ("F64", "F32", "F16", "BF16", "I64", "BOOL")
"""Types of weights that nobody packed, and of counters beside them, as safetensors calls them."""
PACKAGES = {"awq": ("gptqmodel",), "gptq": ("gptqmodel", "optimum")}
"""What reads a method, where transformers does not say it in one sentence."""
LEFT_WHOLE = ("modules_to_not_convert", "llm_int8_skip_modules")
LEGACY_FILES = {"quant_config.json": "awq", "quantize_config.json": "gptq"}
"""Where tools wrote it before it had a place in config.json; transformers does not look there."""


def quantization_of(config: Mapping[str, Any]) -> str | None:
    """The method that a config.json names: awq, gptq, bitsandbytes, …; None for plain weights.

    LayerhouseError for what names none.
    """
    for place in (config, part_of(config, "text_config")):
        found = place.get("quantization_config") or place.get("compression_config")
        if isinstance(found, Mapping):
            return _method(found)
        if isinstance(found, str | list | int):
            raise LayerhouseError(
                f"config.json says {str(found)[:40]!r} for its quantization_config, which is no "
                "object of settings; take it out where the weights are plain, or write it as the "
                "tool that made them does"
            )
    return None


def _method(told: Mapping[str, Any]) -> str:
    if not told.get("quant_method") and (told.get("load_in_4bit") or told.get("load_in_8bit")):
        return "bitsandbytes"  # its older releases left the name out
    method = told.get("quant_method") or "unknown"
    return str(getattr(method, "value", method)).lower()  # in memory it is an enumeration


def refuse_unreadable(name: str, config: Mapping[str, Any]) -> None:
    """LayerhouseError where nobody here reads the method of a model's weights."""
    import transformers
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

    method = quantization_of(config)
    if isinstance(config.get("quantization"), Mapping) and method is None:
        method = "mlx"
    if method is None:
        return
    if not any(known.startswith(method) for known in AUTO_QUANTIZATION_CONFIG_MAPPING):
        raise LayerhouseError(
            f"the weights of {name} are quantised ({method}), which this transformers "
            f"({transformers.__version__}) does not read; give the model in full precision"
        )
    lacking = [package for package in PACKAGES.get(method, ()) if find_spec(package) is None]
    if lacking:
        raise LayerhouseError(
            f"the weights of {name} are quantised ({method}), for which {' and '.join(lacking)} "
            f"{'is' if len(lacking) == 1 else 'are'} missing; install with: pip install "
            f"{' '.join(PACKAGES[method])}"
        )


def everywhere(told: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a quantisation, its names of modules that are left whole made to hold
    wherever these are in the model: `visual` is `model.visual` today, and was not when it was
    written.
    """
    settings = dict(told)
    for name in LEFT_WHOLE:
        if isinstance(settings.get(name), list):
            settings[name] = [rf"(?:.*\.)?{module}" for module in settings[name]]
    return settings


def refuse_other_layers(model: Any, folder: Path) -> None:
    """LayerhouseError unless as many layers are packed as the files hold: bitsandbytes would pack
    whole weights, too, where config.json does not name them as they are called today.
    """
    kinds = [type(module).__name__ for module in model.modules()]
    names = weight_facts(folder)
    for kind, mark in (("Linear4bit", ".quant_state."), ("Linear8bitLt", ".SCB")):
        packed, due = sum(mark in name for name in names), kinds.count(kind)
        if due and packed != due:
            raise LayerhouseError(
                f"{folder} holds {packed} packed weights, but config.json has {due} layers packed; "
                "name the others in llm_int8_skip_modules as the model calls them"
            )


def decompress(model: Any) -> None:
    """Unpack compressed tensors now; their library would at the first forward pass, after they
    have been counted.
    """
    compressor = getattr(getattr(model, "hf_quantizer", None), "compressor", None)
    if compressor is not None and hasattr(model, "ct_decompress_hook"):
        compressor.decompress_model(model)


def count_weights(model: Any) -> int:
    """The model's weights: packed ones as what they stand for, and no scales beside them."""
    beside = sum(
        values.numel()
        for name, values in model.named_parameters()
        if name.endswith(("weight_scale", "weight_zero_point", "weight_shape"))
    )
    packed = sum(
        module.in_features * module.out_features
        for module in model.modules()
        if hasattr(module, "qweight")  # of awq and gptq, where no parameter is
    )
    return int(model.num_parameters()) - beside + packed


def refuse_unmarked(folder: Path, config: Mapping[str, Any]) -> None:
    """LayerhouseError where the weights are not quantised as config.json says."""
    method = quantization_of(config)
    legacy = [name for name in LEGACY_FILES if (folder / name).is_file()]
    if method is None and legacy:
        raise LayerhouseError(
            f"{folder} was quantised by an older {LEGACY_FILES[legacy[0]]} tool, which says so in "
            f"{legacy[0]} only; copy its settings into config.json as quantization_config with "
            f'"quant_method": "{LEGACY_FILES[legacy[0]]}"'
        )
    if method is None:
        return
    weights, marks = weight_facts(folder), MARKS.get(method)
    is_packed = (
        any(mark in name for name in weights for mark in marks)
        if marks
        else any(kind not in WHOLE for kind, _ in weights.values())
    )
    if not is_packed:
        raise LayerhouseError(
            f"{folder}/config.json says that its weights are quantised ({method}), but none in its "
            "files is; take quantization_config out of it, or give the files it was written for"
        )
