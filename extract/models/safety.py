"""What the files of an adapter may not ask for: peft would import a module or read others by it."""

from pathlib import Path

from warehouse.errors import LayerhouseError
from warehouse.pretrained import read_object

MEGATRON = "megatron.core"


def refuse_unsafe_adapter(path: Path) -> None:
    """Raise LayerhouseError where an adapter's configuration has peft import or read more."""
    config = read_object(path)
    core = config.get("megatron_core")
    if config.get("megatron_config") or core not in (None, MEGATRON):
        raise LayerhouseError(
            f"{path} asks for the module {core}, which is not run; take the lines of Megatron out"
        )
    if str(config.get("peft_type")).upper() == "XLORA":
        raise LayerhouseError(
            f"{path} is of other adapters by their paths (XLORA), which are not read; give one of "
            "them, or a LoRA"
        )
