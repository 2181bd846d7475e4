"""Which model an adapter was made for: what it records of its base, held against the one given."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from extract.models.fingerprints import fingerprint_weights
from extract.models.folders import ADAPTER_CONFIG
from extract.models.quantized import quantization_of
from warehouse.errors import UsageError
from warehouse.untrusted import read_object

QUANTIZED_COPY = re.compile(r"(-?(unsloth|bnb|4bit|8bit|int4|int8|awq|gptq|fp8))+$")
"""What names of quantised copies end in, on which adapters for the full weights are trained."""


def check_base(adapter: Path, recorded: str, folder: Path, known: Iterable[str]) -> str | None:
    """Refuse a model that is not the base an adapter records; a note where that is not certain.

    `known` are the names that the given model, in `folder`, has. Where the recorded base lies on
    this machine its weights decide, else its name does.
    """
    if not recorded:
        return f"the adapter {adapter.name} does not record its base"
    there = Path(os.path.expanduser(recorded))  # noqa: PTH111 - which no unknown user makes fail
    if os.path.isfile(there / ADAPTER_CONFIG):  # noqa: PTH113 - nor a name that no file can have
        raise UsageError(
            f"the adapter {adapter} was made on top of another, {recorded}; merge that one into "
            "its base with peft, and give the result as --model"
        )
    if os.path.isfile(there / "config.json") and not _is_quantized(there):  # noqa: PTH113
        if there.resolve() == folder.resolve() or _weights(there) == _weights(folder):
            return None
        raise UsageError(
            f"the adapter {adapter} was made for {recorded}, whose weights are not those of "
            f"{folder}; give that folder as --model"
        )
    if _plain(recorded) in {_plain(name) for name in known if name}:
        return None
    if there.is_absolute() or recorded.startswith((".", "~")):
        return (
            f"the adapter {adapter.name} records {recorded} as its base, which is not on this "
            "machine; that its keys and shapes fit is all that is known"
        )
    raise UsageError(
        f"the adapter {adapter} was made for {recorded}, not for {folder.name}; give its base as "
        "--model, or, where this is that base under another name, write the name into "
        "base_model_name_or_path of its adapter_config.json"
    )


def revision_note(adapter: Path, told: Mapping[str, Any], revision: str | None) -> str | None:
    """A note where an adapter records another revision of its base than the one that is given.

    `told` is its adapter_config.json, `revision` the commit of the given model's files, None where
    that is not known. Two commits may have the same weights, so this is no reason to refuse.
    """
    cached = re.search(r"/snapshots/([0-9a-f]{7,40})", str(told.get("base_model_name_or_path")))
    recorded = str(told.get("revision") or (cached.group(1) if cached else "main"))
    if recorded == "main" or (revision or "").startswith(recorded):
        return None
    given = (
        f"its files here are those of {revision}" if revision else "which these are is not known"
    )
    return f"the adapter {adapter.name} was made for revision {recorded} of its base; {given}"


def _is_quantized(folder: Path) -> bool:
    return quantization_of(read_object(folder / "config.json")) is not None


def _weights(folder: Path) -> str:
    return fingerprint_weights(folder, config=None)


def _plain(name: str) -> str:
    """A model's own name, without its owner, its place and what marks a quantised copy."""
    cached = re.search(r"models--[^/]+?--([^/]+)", name)
    last = cached.group(1) if cached else name.rstrip("/").rpartition("/")[2]
    return re.sub(r"[^a-z0-9]", "", QUANTIZED_COPY.sub("", last.lower()))
