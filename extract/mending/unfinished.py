"""A training that is not done: what it takes to go on behind its last whole epoch, in one file."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from warehouse.errors import LayerhouseError, said
from warehouse.files import write_at_once
from warehouse.lake import config_difference

DIGEST, HEADER = 32, 8
"""Bytes of the checksum that the file begins with, and of the length of safetensors' header."""


@dataclass(frozen=True)
class Unfinished:
    """Where a training of this identity is kept while it is not done.

    The file is safetensors behind a checksum of it, under a name that no reader takes for weights;
    it is written at once, so a killed writer leaves the one of the epoch before.
    """

    path: Path
    identity: Mapping[str, Any]

    def write(self, tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> None:
        """Keep these in the place of what was kept. Raises LayerhouseError where there is no room.

        `told` is anything that JSON can say.
        """
        header = {"told": json.dumps({"identity": self.identity, "told": told})}
        content = save({name: tensor.contiguous() for name, tensor in tensors.items()}, header)
        digest = blake2b(content, digest_size=DIGEST).digest()

        def to(path: Path) -> None:
            with path.open("wb") as file:
                file.write(digest)
                file.write(content)

        try:
            write_at_once(self.path, to, durably=True)
        except OSError as error:
            raise LayerhouseError(
                f"the training cannot be kept in {self.path}, {len(content) / 1e6:,.1f} MB: "
                f"{said(error)}; make room and run the command again, it goes on behind the last "
                "epoch that was kept"
            ) from error

    def read(self) -> tuple[dict[str, Tensor], Any] | None:
        """What was kept last; None if nothing was, or of another training, or if it is damaged."""
        with suppress(FileNotFoundError, SafetensorError, ValueError, LookupError):
            content = self.path.read_bytes()
            digest, content = content[:DIGEST], content[DIGEST:]
            if blake2b(content, digest_size=DIGEST).digest() != digest:
                return None
            size = int.from_bytes(content[:HEADER], "little")
            header = json.loads(content[HEADER : HEADER + size])["__metadata__"]
            kept = json.loads(header["told"])
            if kept["identity"] == self.identity:
                return load(content), kept["told"]
        return None

    def other(self) -> Mapping[str, Any] | None:
        """The identity of the training that is kept here if it is another; no tensor is read."""
        with suppress(FileNotFoundError, ValueError, LookupError), self.path.open("rb") as file:
            file.seek(DIGEST)
            size = int.from_bytes(file.read(HEADER), "little")
            header = json.loads(file.read(size))["__metadata__"]
            identity: Mapping[str, Any] = json.loads(header["told"])["identity"]
            return None if identity == self.identity else identity
        return None

    def refuse_other(self) -> None:
        """LayerhouseError where another training is kept here. For one who knows that its writer
        lives: what was left is no reason."""
        if other := self.other():
            raise LayerhouseError(
                f"another `layerhouse mend` trains what {self.path} keeps, of another model, "
                f"dataset or recipe ({config_difference(self.identity, other)}); give another "
                "folder with --out, or wait for it"
            )

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
