"""Placement: how a model's weights lie in memory, beyond one device in one dtype.

Quantised weights and device maps are transformers' own; what is added here is what it leaves open:
names that can be misspelt, packages that may be absent, and a place for weights left on disk.
"""

import atexit
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.vocabulary import QUANTIZATIONS

if TYPE_CHECKING:
    import torch

STRATEGIES = ("auto", "balanced", "balanced_low_0", "sequential")


@dataclass(frozen=True)
class Placement:
    """`quantization` is one of QUANTIZATIONS; `device_map` a strategy of accelerate, or which part
    of the model (a module path, "" for the rest) lies on which device ("cpu", "disk", 0, 1, …).
    """

    quantization: str | None = None
    device_map: str | Mapping[str, str | int] | None = None

    @property
    def placed(self) -> bool:
        """Whether loading puts the weights where they belong, so that they must not be moved."""
        return self.quantization is not None or self.device_map is not None


def parse_placement(quantization: str | None, device_map: str | Path | None) -> Placement:
    """A Placement from what a person wrote; a device map may be a strategy or a JSON file.

    Raises UsageError for an unknown name or a file that holds no map, LayerhouseError for a package
    that is not installed.
    """
    if quantization is not None and quantization not in QUANTIZATIONS:
        raise UsageError(
            f"unknown quantization {quantization!r}{nearest(quantization, QUANTIZATIONS)}"
        )
    if quantization is not None:
        _need("bitsandbytes", "--quantization", "quantization")
    if device_map is None:
        return Placement(quantization)
    _need("accelerate", "--device-map", "device-map")
    return Placement(quantization, _device_map(str(device_map)))


def quantization_config(quantization: str, dtype: "torch.dtype") -> Any:
    """transformers' own configuration: int8 with outliers apart, or 4-bit NormalFloat blocks."""
    from transformers import BitsAndBytesConfig

    if quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
    )


def avoid_misfit_kernels(model: Any) -> None:
    """Keep 4-bit layers of uneven sizes away from bitsandbytes' kernel for AVX512-BF16 processors.

    On those it packs the weights anew at the first forward, which takes rows of whole blocks and 32
    outputs at a time and fails for others (a SigLIP tower has layers 4,304 wide); its general
    kernel takes any size.
    """
    for layer in model.modules():
        state = getattr(getattr(layer, "weight", None), "quant_state", None)
        if getattr(layer, "support_avx512bf16_for_cpu", False) and state is not None:
            outputs, inputs = state.shape
            if outputs % 32 or inputs % state.blocksize:
                layer.support_avx512bf16_for_cpu = False


@cache
def offload_folder() -> str:
    """Where weights that fit on no device wait; removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="layerhouse-offload-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _device_map(given: str) -> str | dict[str, str | int]:
    if given in STRATEGIES:
        return given
    path = Path(given)
    if not path.is_file():
        raise UsageError(
            f"unknown device map {given!r}{nearest(given, STRATEGIES)}; the path of a JSON file is "
            "taken too"
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(v, str | int) for v in found.values()):
        raise UsageError(
            f'{path} is no device map: it needs a JSON object such as {{"": 0, "lm_head": "cpu"}}'
        )
    return found


def _need(package: str, option: str, extra: str) -> None:
    if find_spec(package) is None:
        raise LayerhouseError(
            f"{option} needs {package}; install it with: pip install 'layerhouse[{extra}]'"
        )
