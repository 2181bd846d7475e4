"""What a folder of weights may not ask for: code, and files elsewhere.

transformers and timm take a folder's files at their word: an index may name pickles or paths that
lead out of it, a configuration a kernel of the hub or a checkpoint anywhere.
"""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from warehouse.errors import LayerhouseError, said
from warehouse.untrusted.reading import read_bounded

WEIGHTS = ".safetensors"
IMPLEMENTATIONS = ("attn_implementation", "experts_implementation")
ELSEWHERE = {"checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"}
"""What timm reads more files by, pickles among them."""


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; LayerhouseError where it holds none."""
    try:
        text = read_bounded(path.resolve()).decode()  # a hub's cache is made of links
        if text.startswith("\ufeff"):
            raise LayerhouseError(
                f"{path} begins with the mark of a Windows editor (BOM), over which transformers "
                "stumbles; save it as UTF-8 without it"
            )
        found = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:  # no file, no text, no JSON
        raise LayerhouseError(f"{path} cannot be read: {said(error)}") from error
    if not isinstance(found, dict):
        raise LayerhouseError(f"{path} holds a JSON {type(found).__name__}, where an object is due")
    return found


def refuse_unsafe_weights(folder: Path) -> None:
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
        if name == "model_args" and isinstance(value, dict) and ELSEWHERE & set(value):
            raise LayerhouseError(
                f"{path} names {min(ELSEWHERE & set(value))} among its model_args, by which files "
                "elsewhere are read; take it out"
            )
        if name == "architecture" and ":" in str(value):
            raise LayerhouseError(
                f"{path} names {value} as its architecture, which lies elsewhere; name timm's own"
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
