"""What the files of a model or an adapter may not ask for: code, and files elsewhere.

transformers and peft take a folder's files at their word: an index may name pickles or paths that
lead out of it, a configuration a kernel of the hub or a module to import.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from extract.models.files import read_object
from warehouse.errors import LayerhouseError

WEIGHTS = ".safetensors"
IMPLEMENTATIONS = ("attn_implementation", "experts_implementation")
MEGATRON = "megatron.core"


def refuse_unsafe_model(folder: Path) -> None:
    """Raise LayerhouseError for a model folder that asks for code or for files outside of it."""
    for path in folder.glob(f"*{WEIGHTS}"):
        if not path.is_file():
            raise LayerhouseError(f"{path} is no file of weights; put the file itself there")
    for path in folder.glob(f"*{WEIGHTS}.index.json"):
        _refuse_names(path, read_object(path).get("weight_map"))
    path = folder / "config.json"
    named = read_object(path).get("transformers_weights")
    if named is not None and not str(named).endswith((WEIGHTS, f"{WEIGHTS}.index.json")):
        raise LayerhouseError(
            f"{path} names {named} as its weights; pickled weights are not read, take that line out"
        )
    if named is not None and len(PurePosixPath(str(named).replace("\\", "/")).parts) != 1:
        raise LayerhouseError(
            f"{path} names {named} as its weights, which is no file of its folder; put the file "
            "there and take that line out"
        )
    for name, value in _entries(read_object(path)):
        if name.endswith(IMPLEMENTATIONS) and "/" in str(value):
            raise LayerhouseError(
                f"{path} asks for the code {value} as its {name}, which is not run; take that line "
                "out of it"
            )


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


def _refuse_names(path: Path, names: Any) -> None:
    if not isinstance(names, dict):
        raise LayerhouseError(f"{path} holds no weight_map; save the model again")
    for name in sorted({str(each) for each in names.values()}):
        place = PurePosixPath(name.replace("\\", "/"))
        if place.suffix != WEIGHTS:
            raise LayerhouseError(
                f"{path} names {name}; pickled weights are not read, save the model again with "
                "save_pretrained"
            )
        if len(place.parts) != 1:
            raise LayerhouseError(
                f"{path} names {name}, which is no file of its folder; put the file there and its "
                "name into the index"
            )


def _entries(found: Any) -> Iterator[tuple[str, Any]]:
    """Every name and value of a configuration, also of those inside of it."""
    waiting = [found]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from one.items()
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
