"""What the files of an adapter may not ask for: peft would import a module or read others by it."""

from pathlib import Path

from warehouse.errors import LayerhouseError
from warehouse.untrusted import read_object

MEGATRON = "megatron.core"
MOST_LETTERS = 10_000
"""No honest name or pattern has more, and peft tries each letter of some."""


def refuse_unsafe_adapter(path: Path) -> None:
    """Raise LayerhouseError where an adapter's configuration has peft import or read more, or try
    for hours."""
    config = read_object(path)
    for name, value in config.items():
        if isinstance(value, str) and len(value) > MOST_LETTERS:
            raise LayerhouseError(
                f"{path} has {len(value):,} letters in {name}, which is no name or pattern; take "
                "them out"
            )
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
