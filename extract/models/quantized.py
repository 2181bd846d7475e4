"""Checkpoints whose weights were quantised before they were published, as their config.json says.

They run in the numbers they have, as a variant of the model: what is measured is never taken for
the model in full precision. transformers reads them, with the package of each method.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from extract.models.files import weight_sizes
from warehouse.errors import LayerhouseError

MARKS: dict[str, tuple[str, ...]] = {
    "awq": (".qweight",),
    "gptq": (".qweight",),
    "bitsandbytes": (".quant_state.", ".SCB"),
    "compressed-tensors": ("_packed", "_scale"),
    "fp8": ("weight_scale_inv",),
    "fbgemm_fp8": ("weight_scale",),
}
"""Endings or parts of the names of weights that a method packs; none is known for the others."""
LEGACY_FILES = {"quant_config.json": "awq", "quantize_config.json": "gptq"}
"""Where tools wrote it before it had a place in config.json; transformers does not look there."""


def quantization_of(config: Mapping[str, Any]) -> str | None:
    """The method that a config.json names: awq, gptq, bitsandbytes, …; None for plain weights."""
    text = config.get("text_config")
    places = [config, text if isinstance(text, Mapping) else {}]
    for place in places:
        found = place.get("quantization_config") or place.get("compression_config")
        if isinstance(found, Mapping):
            return _method(found)
    return None


def _method(told: Mapping[str, Any]) -> str:
    if not told.get("quant_method") and (told.get("load_in_4bit") or told.get("load_in_8bit")):
        return "bitsandbytes"  # its older releases left the name out
    method = told.get("quant_method") or "unknown"
    return str(getattr(method, "value", method)).lower()  # in memory it is an enumeration


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
    return int(model.num_parameters()) - beside


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
    marks = MARKS.get(method or "")
    if marks and not any(mark in name for name in weight_sizes(folder) for mark in marks):
        raise LayerhouseError(
            f"{folder}/config.json says that its weights are quantised ({method}), but none in its "
            "files is; take quantization_config out of it, or give the files it was written for"
        )
