"""Reading a study: a TOML file, the files it includes and the environment become typed parts."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warehouse.errors import UsageError, nearest

Options = Mapping[str, Any]
"""Options of one command, as its `--help` names them; `max_new_tokens` is `--max-new-tokens`."""

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
COMMANDS = ("extract", "probe", "baseline", "diagnose", "compare", "report", "figures", "publish")
"""Commands whose options a study may give, each in a table of its name."""
TOP = ("title", "lake", "include", "prompts", "model", "dataset", "variant", *COMMANDS)


@dataclass(frozen=True)
class StudiedModel:
    """A model as `extract` takes it, what it is compared with, and options for it alone."""

    model: str
    name: str
    base: str | None = None
    extract: Options = field(default_factory=dict)


@dataclass(frozen=True)
class StudiedDataset:
    """A dataset by its name; from a `path` it is registered with the options `add`."""

    dataset: str
    path: str | None = None
    add: Options = field(default_factory=dict)
    extract: Options = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """What is done to models: options of `extract`, and of which models and datasets it is asked.

    Without `models` or `datasets` of all.
    """

    name: str
    extract: Options = field(default_factory=dict)
    models: Sequence[str] = ()
    datasets: Sequence[str] = ()

    def is_of(self, model: StudiedModel, dataset: StudiedDataset) -> bool:
        of_model = not self.models or model.name in self.models
        return of_model and (not self.datasets or dataset.dataset in self.datasets)


@dataclass(frozen=True)
class Study:
    """All of a study. Paths in it are seen from `folder`, that of its file."""

    path: Path
    title: str
    lake: str | None
    prompts: Sequence[str]
    models: Sequence[StudiedModel]
    datasets: Sequence[StudiedDataset]
    variants: Sequence[Variant]
    options: Mapping[str, Options]

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def place(self) -> str | None:
        """Where it says that its lake lies; None where it does not."""
        if self.lake is None or "://" in self.lake:
            return self.lake
        return str(self.folder / self.lake)


def read_study(path: Path) -> Study:
    """A study from its file. Raises UsageError that names the file, and the key, for what is wrong.

    `include` names files whose tables count as if they stood in this one; what this one says itself
    wins, and its lists of models, datasets and variants follow theirs. `${NAME}` in a text is that
    variable of the environment, `${NAME:-TEXT}` the text where there is none.
    """
    path = path.absolute()
    tree = _merged(path, ())
    _refuse_unknown(path, "", tree, TOP)
    models = [_model(path, table) for table in _tables(path, tree, "model")]
    datasets = [_dataset(path, table) for table in _tables(path, tree, "dataset")]
    variants = [_variant(path, table) for table in _tables(path, tree, "variant")]
    for what, names in (
        ("model", [each.name for each in models]),
        ("dataset", [each.dataset for each in datasets]),
        ("variant", [each.name for each in variants]),
    ):
        if not names and what != "variant":
            raise UsageError(f"{path} names no {what}; add a [[{what}]]")
        if doubled := [name for name in names if names.count(name) > 1]:
            raise UsageError(f"{path} has two {what}s of the name {doubled[0]!r}; give one another")
    _refuse_strangers(path, models, datasets, variants)
    return Study(
        path=path,
        title=_text(path, tree, "title", "") or path.stem,
        lake=_text(path, tree, "lake", "") or None,
        prompts=_texts(path, tree, "prompts"),
        models=models,
        datasets=datasets,
        variants=variants or [Variant("base")],
        options={name: _options(path, tree, name) for name in COMMANDS if name in tree},
    )


def _merged(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """The file's tree over those of the files that it includes."""
    if path in above:
        raise UsageError(f"{path} includes itself, by way of {above[-1]}")
    own = _tree(path)
    merged: dict[str, Any] = {}
    for name in _texts(path, own, "include"):
        for key, value in _merged((path.parent / name).resolve(), (*above, path)).items():
            _lay(merged, key, value)
    for key, value in own.items():
        if key != "include":
            _lay(merged, key, value)
    return merged


def _lay(tree: dict[str, Any], key: str, value: Any) -> None:
    """Put a value over what is there: tables are joined, lists of tables follow, all else wins."""
    there = tree.get(key)
    if isinstance(there, dict) and isinstance(value, dict):
        tree[key] = there | value
    elif key in ("model", "dataset", "variant") and isinstance(there, list):
        tree[key] = there + value
    else:
        tree[key] = value


def _tree(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8; save it so") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}") from error
    filled = _filled(path, found)
    assert isinstance(filled, dict)
    return filled


def _filled(path: Path, value: Any) -> Any:
    """A value with the environment's variables in its texts."""
    if isinstance(value, dict):
        return {key: _filled(path, each) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(path, each) for each in value]
    if not isinstance(value, str):
        return value

    def fill(found: re.Match[str]) -> str:
        name, otherwise = found.groups()
        given = os.environ.get(name, otherwise)
        if given is None:
            raise UsageError(
                f"{path} asks for ${{{name}}}, which the environment does not have; export it, or "
                f"write ${{{name}:-what else}}"
            )
        return given

    return VARIABLE.sub(fill, value)


def _model(path: Path, table: Options) -> StudiedModel:
    _refuse_unknown(path, "[[model]] ", table, ("model", "name", "base", "extract"))
    model = _needed(path, table, "model")
    name = _text(path, table, "name", model)
    base = _text(path, table, "base", "") or None
    return StudiedModel(model, name, base, _options(path, table, "extract"))


def _dataset(path: Path, table: Options) -> StudiedDataset:
    _refuse_unknown(path, "[[dataset]] ", table, ("dataset", "path", "add", "extract"))
    place = _text(path, table, "path", "") or None
    if place is None and "add" in table:
        raise UsageError(f"{path}: a [[dataset]] has options of add and no path; say where it lies")
    options = (_options(path, table, name) for name in ("add", "extract"))
    return StudiedDataset(_needed(path, table, "dataset"), place, *options)


def _variant(path: Path, table: Options) -> Variant:
    _refuse_unknown(path, "[[variant]] ", table, ("name", "extract", "models", "datasets"))
    only = (_texts(path, table, name) for name in ("models", "datasets"))
    return Variant(_needed(path, table, "name"), _options(path, table, "extract"), *only)


def _refuse_strangers(
    path: Path,
    models: Sequence[StudiedModel],
    datasets: Sequence[StudiedDataset],
    variants: Sequence[Variant],
) -> None:
    """Every name that is pointed to must be one that the study has."""
    names, sets = [each.name for each in models], [each.dataset for each in datasets]
    pointed = [("model", each.base, names) for each in models if each.base is not None]
    for variant in variants:
        pointed += [("model", name, names) for name in variant.models]
        pointed += [("dataset", name, sets) for name in variant.datasets]
    for what, name, known in pointed:
        if name not in known:
            raise UsageError(f"{path} has no {what} {name!r}{nearest(name, known)}")


def _refuse_unknown(path: Path, where: str, table: Options, known: Sequence[str]) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{path}: {where}has no {key!r}{nearest(key, known)}")


def _tables(path: Path, tree: Options, key: str) -> list[Options]:
    found = tree.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise UsageError(f"{path}: {key} must be written as [[{key}]], once for each")
    return found


def _options(path: Path, tree: Options, key: str) -> Options:
    found = tree.get(key, {})
    if not isinstance(found, dict):
        raise UsageError(f"{path}: {key} must be a table of options, as `{key} --help` names them")
    return {name.replace("-", "_"): value for name, value in found.items()}


def _needed(path: Path, table: Options, key: str) -> str:
    found = _text(path, table, key, "")
    if not found:
        raise UsageError(f"{path}: an entry lacks its {key}: {dict(table)}")
    return found


def _text(path: Path, table: Options, key: str, otherwise: str) -> str:
    found = table.get(key, otherwise)
    if not isinstance(found, str):
        raise UsageError(f"{path}: {key} must be a text, not {found!r}")
    return found


def _texts(path: Path, table: Options, key: str) -> list[str]:
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise UsageError(f"{path}: {key} must be a list of texts, not {found!r}")
    return found
