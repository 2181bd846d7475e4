"""A model's files as somebody wrote them: one sentence for whatever is wrong with them."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

from warehouse.errors import LayerhouseError, said
from warehouse.extensions import raised_by_package

MOST_HEADER = 100 * 10**6
"""The longest header that safetensors itself reads."""


LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""What transformers is to be told of every folder: told nothing, it asks at a terminal whether to
run a repository's code."""

FLOATS, CHUNK = ("F64", "F32", "F16", "BF16"), 2**20


def part_of(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What a config.json says of a part of its model, as in `text_config`; nothing where nothing is
    there."""
    found = config.get(name)
    return found if isinstance(found, Mapping) else {}


def weight_facts(folder: Path) -> dict[str, tuple[str, int]]:
    """Each weight in a folder's safetensors files by its name: its dtype and how many numbers it
    has, as the files' headers say.
    """
    found: dict[str, tuple[str, int]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            header, begin = _header(path)
            found |= {n: (str(one["dtype"]), prod(one["shape"])) for n, one in header.items()}
            ends = [int(one["data_offsets"][1]) for one in header.values()]
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise LayerhouseError(
                f"{path} is damaged: it has no header of weights; fetch it again"
            ) from error
        due = begin + max(ends, default=0)
        if (held := path.stat().st_size) != due:
            raise LayerhouseError(
                f"{path} is damaged: it has {held:,} bytes where its header says {due:,}; fetch it "
                "again"
            )
    return found


def _header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """What a safetensors file says of its weights, and the place where their bytes begin."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(min(size, MOST_HEADER)))
    header.pop("__metadata__", None)
    return header, 8 + size


def refuse_empty(folder: Path, facts: Mapping[str, tuple[str, int]]) -> None:
    """LayerhouseError for weights of no numbers, which trainers write that hold them in parts."""
    empty = [name for name, (_, size) in facts.items() if not size]
    if empty:
        raise LayerhouseError(
            f"{len(empty)} weights in {folder} are empty, first {empty[0]}: a training that held "
            "them in parts (ZeRO-3, FSDP) saved no more; write them with DeepSpeed's "
            "zero_to_fp32.py or with `accelerate merge-weights`"
        )


def refuse_cut_off(paths: Iterable[Path]) -> None:
    """LayerhouseError for files that end in zeros where weights belong: a download that is given
    its whole size first, and breaks off, leaves a file that no size and no header tells of.

    Only matrices tell: biases that are all zero are trained, too.
    """
    for path in paths:
        header, begin = _header(path)
        held = sorted(header.items(), key=lambda one: -int(one[1]["data_offsets"][0]))
        empty: list[str] = []
        for name, told in held:
            start, end = told["data_offsets"]
            if told["dtype"] not in FLOATS or not _is_zero(path, begin + start, begin + end):
                break
            empty.append(name)
        if any(sum(side > 1 for side in header[name]["shape"]) > 1 for name in empty):
            raise LayerhouseError(
                f"{path} is damaged: its last {len(empty)} weights, from {empty[-1]} on, hold "
                "nothing but zeros, as a download leaves them that broke off; fetch it again"
            )


def _is_zero(path: Path, start: int, end: int) -> bool:
    with path.open("rb") as file:
        file.seek(start)
        while start < end:
            if any(part := file.read(min(CHUNK, end - start))):
                return False
            start += len(part)
    return True


def refuse_two_names(paths: Iterable[Path], place_of: Callable[[str], str | None]) -> None:
    """LayerhouseError where a weight is there under two names, of an older and a newer release, and
    not the same: which of them counts, only the order of names would say.

    `place_of` tells of a name in the files which weight of the model it is.
    """
    import torch
    from safetensors import safe_open

    files = {name: path for path in paths for name in _header(path)[0]}
    first: dict[str, str] = {}
    for name in files:
        place = place_of(name)
        if place is None or (other := first.setdefault(place, name)) == name:
            continue
        with safe_open(files[other], "pt") as one, safe_open(files[name], "pt") as two:
            if torch.equal(one.get_tensor(other), two.get_tensor(name)):
                continue
        raise LayerhouseError(
            f"{files[name]} holds {name} beside {other}, which are two names of one weight, and "
            "not the same; take out what the model was not trained to, or save it anew"
        )


def refuse_twice(paths: Sequence[Path]) -> None:
    """LayerhouseError where two files hold a weight, each of them another: files of two times."""
    import torch
    from safetensors import safe_open

    first: dict[str, Path] = {}
    for path in paths:
        for name in _header(path)[0]:
            if (other := first.setdefault(name, path)) == path:
                continue
            with safe_open(other, "pt") as one, safe_open(path, "pt") as two:
                if torch.equal(one.get_tensor(name), two.get_tensor(name)):
                    continue
            raise LayerhouseError(
                f"{other} and {path.name} both hold {name}, and not the same: they were not saved "
                "together; fetch all files of one revision"
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
        told = raised_by_package(error) or LayerhouseError(f"{sentence}: {said(error)}{hint}")
        raise told from error
