"""Fingerprints: short hashes that tell whether a folder or a model is the same as before."""

import json
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

WHOLE_FILE = 256 * 2**20
WINDOWS = 64
WINDOW = 64 * 2**10
WEIGHTS = ".safetensors"
QFORMER = "qformer_tokenizer"
IGNORED = {"README.md", ".gitattributes", ".gitignore", "LICENSE"}


def fingerprint_weights(folder: Path, config: str | None = "config.json") -> str:
    """Identity of a folder's weights, without loading them: 16 hex digits.

    Covers the configuration, if one is named, and every safetensors file: its name, its size and
    its bytes. Files above 256 MiB are read in part, their header (names, types, shapes and places
    of all tensors) and 64 windows of 64 KiB spread evenly over the data, so that 60 GB take
    seconds; two checkpoints of one architecture differ in practically every window.
    """
    digest = blake2b(digest_size=8)
    files = [folder / config] if config else []
    for path in sorted([*files, *folder.glob(f"*{WEIGHTS}")]):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        for part in _parts(path):
            digest.update(part)
    return digest.hexdigest()


def fingerprint_processor(folder: Path) -> str:
    """Identity of everything else that decides a model's inputs: tokenizer, templates, settings.

    So does a second tokenizer in a folder of its own, which a Q-Former reads the question with.
    """
    digest = blake2b(digest_size=8)
    inner = (folder / QFORMER).glob("*")
    for path in [*sorted(folder.glob("*")), *sorted(inner)]:
        if path.is_file() and path.name not in IGNORED and WEIGHTS not in path.name:
            name = path.relative_to(folder).as_posix()
            digest.update(f"{name}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def fingerprint_state(state: Mapping[str, "Tensor"], config: Mapping[str, Any]) -> str:
    """Identity of weights in memory: every tensor's name, type, shape and bytes, and the settings.

    All bytes count, since what a person changed by hand may be a single row. Where the settings
    were read from and by which release says nothing of the numbers.
    """
    import torch

    told = {k: v for k, v in config.items() if k not in ("_name_or_path", "transformers_version")}
    digest = blake2b(json.dumps(told, sort_keys=True, default=str).encode(), digest_size=8)
    for name in sorted(state):
        tensor = state[name].detach()
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        data = tensor.contiguous().reshape(-1).view(torch.uint8)
        digest.update(data.cpu().numpy().data)
    return digest.hexdigest()


def _parts(path: Path) -> Iterable[bytes]:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= WHOLE_FILE or path.suffix != WEIGHTS:
            while block := file.read(2**20):
                yield block
            return
        header = int.from_bytes(file.read(8), "little")
        yield file.read(min(header, WHOLE_FILE))
        for index in range(WINDOWS):
            file.seek(8 + header + (size - 8 - header - WINDOW) * index // (WINDOWS - 1))
            yield file.read(WINDOW)
