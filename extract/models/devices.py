"""Where a model runs and in which numbers: `--device` and `--dtype`, with what `auto` means."""

from warehouse.devices import device_called
from warehouse.errors import UsageError, nearest
from warehouse.vocabulary import DTYPES


def choose_device(device: str) -> str:
    """`auto` is a GPU where there is one; UsageError for a device this machine has not."""
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    return device_called(device, cuda=cuda, mps=mps)


def choose_dtype(dtype: str, device: str) -> str:
    """`auto` is bfloat16 (or float16) on a GPU and float32 elsewhere."""
    import torch

    if dtype == "auto":
        if not device.startswith("cuda"):
            return "float32"
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if native else "float16"
    if dtype not in DTYPES:
        raise UsageError(f"unknown dtype {dtype!r}{nearest(dtype, [*DTYPES, 'auto'])}")
    return dtype
