"""A model's files as somebody wrote them: one sentence for whatever is wrong with them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path

from warehouse.errors import LayerhouseError, said

MOST_HEADER = 100 * 10**6
"""The longest header that safetensors itself reads."""


def weight_facts(folder: Path) -> dict[str, tuple[str, int]]:
    """Each weight in a folder's safetensors files by its name: its dtype and how many numbers it
    has, as the files' headers say.
    """
    found: dict[str, tuple[str, int]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with path.open("rb") as file:
                size = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(min(size, MOST_HEADER)))
            header.pop("__metadata__", None)
            found |= {n: (str(one["dtype"]), prod(one["shape"])) for n, one in header.items()}
            ends = [int(one["data_offsets"][1]) for one in header.values()]
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise LayerhouseError(
                f"{path} is damaged: it has no header of weights; fetch it again"
            ) from error
        due = 8 + size + max(ends, default=0)
        if (held := path.stat().st_size) != due:
            raise LayerhouseError(
                f"{path} is damaged: it has {held:,} bytes where its header says {due:,}; fetch it "
                "again"
            )
    return found


def refuse_empty(folder: Path, facts: Mapping[str, tuple[str, int]]) -> None:
    """LayerhouseError for weights of no numbers, which trainers write that hold them in parts."""
    empty = [name for name, (_, size) in facts.items() if not size]
    if empty:
        raise LayerhouseError(
            f"{len(empty)} weights in {folder} are empty, first {empty[0]}: a training that held "
            "them in parts (ZeRO-3, FSDP) saved no more; write them with DeepSpeed's "
            "zero_to_fp32.py or with `accelerate merge-weights`"
        )


@contextmanager
def failing_as(sentence: str, hint: str = "") -> Iterator[None]:
    """Tell what fails inside as one sentence that begins so, and ends with the hint.

    Libraries raise anything over files that are not as they expect them.
    """
    try:
        yield
    except LayerhouseError:
        raise
    except Exception as error:
        raise LayerhouseError(f"{sentence}: {said(error)}{hint}") from error
