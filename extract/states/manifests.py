"""Reading a manifest: what the files of a folder hold, said by an export or by whoever made them.

The folder may come from anybody: what is said is held against a shape, files outside are not
opened, and what would run on being read is refused.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from extract.states.layout import HF, KIND, MANIFEST, VERSION
from extract.states.places import BLOCK, PLAIN, TensorPlace, file_in, places_said, refuse_pickle
from warehouse.errors import LayerhouseError, UsageError
from warehouse.files import inside
from warehouse.untrusted import (
    UnfitError,
    anything,
    fields,
    listing,
    mapping,
    maybe,
    one_of,
    parse_json,
    read_bounded,
    refuse,
    text,
    truth,
    whole,
)
from warehouse.vocabulary import LLM, MODULES, Cell

TOML = "manifest.toml"
COUNT = whole(0, 2**31 - 1)
LAYER = whole(0, 9999)
WIDTH = whole(1, 2**31 - 1)
NAME = text("a name", r"[^\0]+", 4096)
WORDS = text()

IMAGE, ALL = MEANS = ("image", "all")

LOCUS = fields(
    {"module": one_of(*MODULES), "layer": LAYER, "readout": one_of(*PLAIN), "file": NAME},
    {"tensor": NAME, "kind": NAME, "path": NAME, "on_path": truth}
    | {"width": WIDTH, "length": WIDTH, "depth": anything},
)
VLLM = fields(
    {"layers": listing(LAYER), "requests": mapping(NAME, NAME)},
    {"image_token_id": COUNT, "mean_over": one_of(*MEANS)},
)
OURS = (
    *("kind", "version", "layerhouse", "commit_set", "model", "dataset", "classes"),
    *("runs", "format", "dtype"),
)
"""What an export says that no import needs."""


def _samples(value: Any, where: str) -> None:
    if not isinstance(value, str):
        listing(NAME)(value, where)


MANIFESTED = fields(
    {},
    {"loci": listing(LOCUS), "samples": _samples, "vllm": VLLM, "title": maybe(WORDS)}
    | dict.fromkeys(OURS, anything),
)


@dataclass(frozen=True)
class Requests:
    """Whole token sequences as vLLM writes them, one file for each request: `layers` are the ids
    that its configuration names, in that order."""

    layers: tuple[int, ...]
    files: tuple[Path, ...]
    image_token_id: int | None
    mean_over: str | None


@dataclass(frozen=True)
class StatesFolder:
    """What a folder holds: samples by their names, and vectors at `places` in the order of these,
    or the `requests` of them. `title` is what the model is called; `labels` are what the lake of an
    export called the samples' classes."""

    folder: Path
    file: Path
    samples: tuple[str, ...]
    places: tuple[TensorPlace, ...]
    requests: Requests | None
    title: str | None
    labels: tuple[str | None, ...] | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is read, without the manifest."""
        named = [place.file for place in self.places]
        return tuple(dict.fromkeys([*named, *(self.requests.files if self.requests else ())]))


def read_manifest(folder: Path) -> StatesFolder:
    """The manifest of a folder, every file that it names being there.

    Raises UsageError where there is none, LayerhouseError for one that does not say what it must.
    """
    file = _manifest_file(folder)
    with _said(file):
        content = read_bounded(file)
        is_toml = file.suffix == ".toml"
        said = tomllib.loads(content.decode("utf-8-sig")) if is_toml else parse_json(content)
        if isinstance(said, dict) and said.get("kind") == KIND and said.get("version") != VERSION:
            refuse("version", said.get("version"), f"{VERSION}, the one that this Layerhouse reads")
        if isinstance(said, dict) and said.get("format") == HF:
            raise UnfitError("it is that of a dataset for Hugging Face; export safetensors or npy")
        MANIFESTED(said, "the manifest")
        if ("vllm" in said) == ("loci" in said):
            raise UnfitError("it must say either loci or vllm")
        found = StatesFolder(folder, file, (), (), None, _title(said))
        if "vllm" in said:
            return _with_requests(found, said["vllm"])
        if "samples" not in said:
            raise UnfitError("it names no samples, in the order of the rows")
        samples = _named(folder, said["samples"])
        labels = _labels(folder, said) if said.get("kind") == KIND else None
        places = places_said(folder, said["loci"])
        return replace(found, samples=samples, places=places, labels=labels)


@contextmanager
def _said(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnfitError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise LayerhouseError(
            f"{file} cannot be followed: {reason}; docs/interop.md shows what a manifest says"
        ) from error


def _manifest_file(folder: Path) -> Path:
    if not folder.is_dir():
        refuse_pickle(folder)
        what = "is a file" if folder.exists() else "does not exist"
        raise UsageError(f"{folder} {what}; name a folder with a {MANIFEST} or {TOML}")
    held = [folder / name for name in (MANIFEST, TOML) if (folder / name).exists()]
    if len(held) == 2:
        raise UsageError(f"{folder} has both {MANIFEST} and {TOML}; leave the one that counts")
    if held:
        return held[0]
    names = sorted(path.name for path in folder.iterdir())
    for name in names:
        refuse_pickle(folder / name)
    states = [name for name in names if name.endswith(".safetensors")]
    hint = f" for {states[0]} and what else it holds" if states else ""
    raise UsageError(
        f"{folder} has no {MANIFEST} or {TOML}; write one{hint}, as docs/interop.md shows"
    )


def _title(said: Mapping[str, Any]) -> str | None:
    model = said.get("model")
    called = model.get("title") or model.get("hf_id") if isinstance(model, dict) else None
    title = said.get("title") or called
    return title if isinstance(title, str) else None


def _named(folder: Path, said: Any) -> tuple[str, ...]:
    """The samples: a list, or a file with one on each line or in the column sample_id."""
    if not isinstance(said, str):
        return _distinct(said)
    file = file_in(folder, said, (".parquet", ".csv", ".txt"))
    if file.suffix == ".txt":
        lines = read_bounded(file).decode("utf-8-sig").splitlines()
        return _distinct([line for line in lines if line.strip()])
    try:
        names = _column(file)
    except pl.exceptions.PolarsError as error:
        why = str(error).splitlines()[0]
        raise UnfitError(
            f"{file.name} cannot be read ({why}); it needs a column sample_id"
        ) from error
    if names.dtype != pl.String or names.null_count():
        raise UnfitError(f"the column sample_id of {file.name} lacks a name or holds no texts")
    return _distinct(names.to_list())


def _labels(folder: Path, said: Mapping[str, Any]) -> tuple[str | None, ...] | None:
    """Those of an export's samples, which tell another dataset with the same names; None where the
    file does not have them."""
    file = inside(folder, str(said["samples"]))
    if file.suffix != ".parquet" or "label" not in (schema := pl.read_parquet_schema(file)):
        return None
    if schema["label"] != pl.String:
        raise UnfitError(f"the column label of {file.name} holds no texts")
    return tuple(pl.read_parquet(file, columns=["label"])["label"].to_list())


def _column(file: Path) -> pl.Series:
    if file.suffix == ".csv":
        return pl.read_csv(file, infer_schema=False)["sample_id"]
    return pl.read_parquet(file, columns=["sample_id"])["sample_id"]


def _distinct(names: list[str]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        twice, _ = Counter(names).most_common(1)[0]
        raise UnfitError(f"it names the sample {twice!a} twice")
    if not names:
        raise UnfitError("it names no samples")
    return tuple(names)


def _with_requests(found: StatesFolder, said: dict[str, Any]) -> StatesFolder:
    layers, by_file = tuple(said["layers"]), said["requests"]
    if not layers or len(set(layers)) != len(layers):
        refuse("vllm.layers", list(layers), "a list of different layer ids")
    if 0 in layers:
        raise UnfitError(
            "vllm.layers names 0, what goes into the first block of the language model and is of "
            "none of its layers; leave that id out when states are extracted"
        )
    if "image_token_id" in said and said.get("mean_over") == ALL:
        raise UnfitError("vllm says both image_token_id and that means are over all tokens")
    if said.get("mean_over") == IMAGE and "image_token_id" not in said:
        raise UnfitError("vllm says that means are over image tokens and not their image_token_id")
    order = sorted(by_file, key=lambda name: str(by_file[name]))
    requests = Requests(
        layers,
        tuple(file_in(found.folder, name, (".safetensors",)) for name in order),
        said.get("image_token_id"),
        said.get("mean_over"),
    )
    samples = _distinct([by_file[name] for name in order])
    has_mean = requests.image_token_id is not None or requests.mean_over == ALL
    places = tuple(
        TensorPlace(
            Cell(LLM, layer - 1, readout),
            requests.files[0],
            None,
            BLOCK,
            f"layers.{layer - 1}",
            True,
        )
        for layer in sorted(layers)
        for readout in (("mean", "last") if has_mean else ("last",))
    )
    return replace(found, samples=samples, places=places, requests=requests)
