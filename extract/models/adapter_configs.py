"""Configurations of adapters: those that can be merged into weights, by what says how."""

from pathlib import Path
from typing import Any

from extract.models.folders import ADAPTER_CONFIG
from warehouse.errors import LayerhouseError
from warehouse.untrusted import read_object

LOST_BASES = ("pissa_niter", "corda", "lora_ga")
"""Beginnings of LoRA that take from the base what random draws, data or gradients chose."""
ELSEWHERE = "merge it into its base with the tool that trained it, and give the result as --model"


def config_of(peft: Any, folder: Path) -> Any:
    """An adapter's configuration, of a kind that can be merged rightly."""
    _refuse_unknown_kind(peft, folder)
    config = peft.PeftConfig.from_pretrained(str(folder))
    config.inference_mode = True
    if config.is_prompt_learning or config.is_adaption_prompt:
        raise unmergeable(folder, config)
    _refuse_unscaled(folder, config)
    _refuse_lost_base(folder, config)
    return config


def _refuse_unknown_kind(peft: Any, folder: Path) -> None:
    kind = read_object(folder / ADAPTER_CONFIG).get("peft_type")
    if not kind:
        raise LayerhouseError(
            f"the adapter {folder} names no peft_type in its {ADAPTER_CONFIG}, as those of other "
            f"tools such as MLX do not; {ELSEWHERE}"
        )
    if kind not in (known := [one.value for one in peft.PeftType]):
        is_known = str(kind).upper() in known
        way_out = f"write {str(kind).upper()}" if is_known else f"a newer one may, else {ELSEWHERE}"
        raise LayerhouseError(
            f"the adapter {folder} is of the kind {kind!r}, which peft {peft.__version__} has not; "
            f"{way_out}"
        )


def unmergeable(folder: Path, config: Any, why: str = "") -> LayerhouseError:
    kind = ": ".join(filter(None, (config.peft_type.value, why.strip().rstrip("."))))
    return LayerhouseError(
        f"the adapter {folder} ({kind}) cannot be merged into weights; only adapters that can, "
        "such as a LoRA, keep the model's structure"
    )


def _refuse_unscaled(folder: Path, config: Any) -> None:
    """LayerhouseError where no number says how strongly an adapter counts.

    peft would take its default, so that part of what was trained, or a multiple, would be merged.
    """
    raw = read_object(folder / ADAPTER_CONFIG)
    scales = [key for key in vars(config) if key == "scaling" or key.endswith("alpha")]
    for key in scales:
        default, said = getattr(type(config), key, None), raw.get(key)
        if not isinstance(default, int | float) or isinstance(said, int | float):
            continue
        told = f"says no {key}" if said is None else f"says {said!r}, no number, for its {key}"
        raise LayerhouseError(
            f"the adapter {folder} {told}, by which its weights count (peft would take {default} "
            f"where nothing is said); write the one of its training into {ADAPTER_CONFIG}"
        )


def _refuse_lost_base(folder: Path, config: Any) -> None:
    """LayerhouseError for a training that changed its base first, by what nobody can find again.

    PiSSA by its exact decomposition and OLoRA do it too, and peft does the same again.
    """
    began = str(getattr(config, "init_lora_weights", ""))
    if began.startswith(LOST_BASES):
        raise LayerhouseError(
            f"the adapter {folder} was trained on a base that its beginning ({began}) had changed, "
            "which comes out otherwise each time; save it with peft's "
            "path_initial_model_for_weight_conversion, or, where the changed base was saved and is "
            f"given as --model, write true for init_lora_weights into {ADAPTER_CONFIG}"
        )
