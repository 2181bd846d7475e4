"""Fingerprints: short hashes that tell whether a folder or a model is the same as before."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.models.digests import remembered, tree_digest

if TYPE_CHECKING:
    from torch import Tensor

LARGE_FILE = 256 * 2**20
WINDOWS = 64
WINDOW = 64 * 2**10
WHOLE = "whole:"
"""Begins the identity of weights in large files that were read whole; earlier versions read windows
of these, and what they wrote is known by windows still."""

WEIGHTS = ".safetensors"
QFORMER = "qformer_tokenizer"
IGNORED = {"README.md", ".gitattributes", ".gitignore", "LICENSE"}


def fingerprint_weights(folder: Path, config: str | None = "config.json") -> str:
    """Identity of a folder's weights, without loading them: 16 hex digits, of folders with files
    above 256 MiB after `whole:`.

    Covers the configuration, if one is named, and every byte of every safetensors file, with its
    name and size. Large files are read by all cores and once: what they are is remembered for as
    long as they are the same files, of the same dates. Raises LayerhouseError where a file changes
    meanwhile.
    """
    files = _files(folder, config)
    if sum(path.stat().st_size for path in files) <= LARGE_FILE:
        return _digest_of(files, _blocks)
    if not any(map(_is_large, files)):
        return remembered(files, "", lambda: _digest_of(files, _blocks))
    windows = _digest_of(files, _windows)
    return remembered(files, windows, lambda: WHOLE + _digest_of(files, _root))


def fingerprint_config(folder: Path) -> str:
    """Identity of a model without weights: of its configuration alone."""
    return _digest_of([folder / "config.json"], _blocks)


def fingerprint_by_windows(folder: Path, config: str | None = "config.json") -> str:
    """The identity as earlier versions took it: of files above 256 MiB the header (names, types,
    shapes and places of all tensors) and 64 windows of 64 KiB spread evenly over the data."""
    return _digest_of(_files(folder, config), _windows)


def _files(folder: Path, config: str | None) -> list[Path]:
    return sorted([*([folder / config] if config else []), *folder.glob(f"*{WEIGHTS}")])


def _digest_of(files: Iterable[Path], parts: Callable[[Path], Iterable[bytes]]) -> str:
    digest = blake2b(digest_size=8)
    for path in files:
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        for part in parts(path):
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


def _is_large(path: Path) -> bool:
    return path.suffix == WEIGHTS and path.stat().st_size > LARGE_FILE


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(2**20):
            yield block


def _root(path: Path) -> Iterator[bytes]:
    yield tree_digest(path)


def _windows(path: Path) -> Iterator[bytes]:
    if not _is_large(path):
        yield from _blocks(path)
        return
    size = path.stat().st_size
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
        yield file.read(min(header, LARGE_FILE))
        for index in range(WINDOWS):
            file.seek(8 + header + (size - 8 - header - WINDOW) * index // (WINDOWS - 1))
            yield file.read(WINDOW)
