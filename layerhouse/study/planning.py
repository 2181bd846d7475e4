"""The plan: which commands a study comes to, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from layerhouse.study.reading import (
    Options,
    StudiedDataset,
    StudiedModel,
    Study,
    Variant,
)
from warehouse.errors import UsageError

ADD, PROMPTS = "add", "prompts"
"""Steps beside those that are named as their command: a dataset's registration, and answers under
further prompts."""
OWN = ("model", "dataset", "lake", "dry_run")
"""Options that the study gives itself."""
OF_ACTIVATIONS = ("readout", "module", "layer")
"""Options of `extract` that mean nothing where only answers are taken."""
MODEL_ID, BASE_ID = "{model}", "{base}"
"""Stand in a command for the ids that the lake gives models, known once their files are here."""


@dataclass(frozen=True)
class StudyCell:
    """One model on one dataset, as it is or as a variant; what `extract` is to do with them."""

    model: StudiedModel
    dataset: StudiedDataset
    variant: Variant
    options: Options

    def __str__(self) -> str:
        variant = "" if self.variant.name == "base" else f" ({self.variant.name})"
        return f"{self.model.name}{variant} on {self.dataset.dataset}"


@dataclass(frozen=True)
class StudyStep:
    """One command of a study: arguments as behind `layerhouse`, `needs` the steps before it.

    `name` is unique in the study, and one that any file system takes. `base` is the cell that a
    comparison holds its own against.
    """

    kind: str
    name: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()
    cell: StudyCell | None = None
    base: StudyCell | None = None

    @property
    def about(self) -> str:
        """The cell, or the dataset of a step that is of none; nothing where it is of all."""
        return unquote(self.name.partition(",")[2]) if self.cell is None else str(self.cell)

    def __str__(self) -> str:
        return f"{self.kind} {self.about}".strip()


def plan(study: Study) -> list[StudyStep]:
    """Every step: what every model of a dataset needs, the cells, then what looks at several.

    Raises UsageError for an option that the study gives itself, or of a value that is none.
    """
    return [*_shared(study), *_of_cells(study), *_joint(study)]


def cells_of(study: Study) -> list[StudyCell]:
    """Models × datasets × variants, all of one model together, as its weights are read once."""
    return [
        StudyCell(model, dataset, variant, _laid(study, model, dataset, variant))
        for model in study.models
        for dataset in study.datasets
        for variant in study.variants
        if variant.is_of(model, dataset)
    ]


def _laid(
    study: Study, model: StudiedModel, dataset: StudiedDataset, variant: Variant
) -> dict[str, Any]:
    """The options of extract: those of the study, over them the model's, dataset's, variant's.

    `{model}` and `{dataset}` in a text are the cell's.
    """
    own = study.options.get("extract", {})
    laid = {**own, **model.extract, **dataset.extract, **variant.extract}
    names = {"{model}": model.name, "{dataset}": dataset.dataset}
    return {key: _named_in(value, names) for key, value in laid.items()}


def _named_in(value: Any, names: Mapping[str, str]) -> Any:
    """A text, or each of a list, with the names in it that stand in braces."""
    if isinstance(value, list):
        return [_named_in(each, names) for each in value]
    if isinstance(value, str):
        for mark, name in names.items():
            value = value.replace(mark, name)
    return value


def _shared(study: Study) -> Iterator[StudyStep]:
    """What every model of a dataset needs."""
    for each in study.datasets:
        if each.path is not None:
            asked = ("datasets", "add", each.dataset, each.path, *_arguments(study, each.add))
            yield StudyStep(ADD, _named(ADD, each.dataset), asked)
    baseline = study.options.get("baseline")
    for each in study.datasets if baseline is not None else ():
        asked = ("baseline", "--dataset", each.dataset, *_arguments(study, baseline or {}))
        yield StudyStep("baseline", _named("baseline", each.dataset), asked, _added(each))


def _of_cells(study: Study) -> Iterator[StudyStep]:
    for cell in cells_of(study):
        given = ("--model", cell.model.model, "--dataset", cell.dataset.dataset)
        held = ("--model", MODEL_ID, "--dataset", cell.dataset.dataset)
        added, first = _added(cell.dataset), named_of("extract", cell)
        yield StudyStep(
            "extract", first, ("extract", *given, *_arguments(study, cell.options)), added, cell
        )
        if study.prompts:
            asked = {k: v for k, v in cell.options.items() if k not in OF_ACTIVATIONS}
            asked |= {"answers_only": True, "prompt": list(study.prompts)}
            more = ("extract", *given, *_arguments(study, asked))
            yield StudyStep(PROMPTS, named_of(PROMPTS, cell), more, (first,), cell)
        before = first
        for kind in ("probe", "diagnose"):
            more = (kind, *held, *_arguments(study, study.options.get(kind, {})))
            yield StudyStep(kind, named_of(kind, cell), more, (before,), cell)
            before = named_of(kind, cell)


def _joint(study: Study) -> Iterator[StudyStep]:
    """What looks at several cells at once. It is run of what is there, whatever has failed."""
    if (options := study.options.get("compare")) is not None:
        more = _arguments(study, options)
        for each in study.datasets:
            asked = ("compare", "--dataset", each.dataset, *more)
            yield StudyStep("compare", _named("compare", each.dataset), asked)
        for cell, base in _based(study):
            pair = ("--model", MODEL_ID, "--base", BASE_ID, "--dataset", cell.dataset.dataset)
            name = named_of("compare", cell)
            yield StudyStep("compare", name, ("compare", *pair, *more), cell=cell, base=base)
    for kind in ("report", "figures", "publish"):
        if (options := study.options.get(kind)) is not None:
            yield StudyStep(kind, kind, (kind, *_arguments(study, options)))


def _based(study: Study) -> Iterator[tuple[StudyCell, StudyCell]]:
    """Every cell of a model with a base, and the base's of the same dataset and variant."""
    cells = {(c.model.name, c.dataset.dataset, c.variant.name): c for c in cells_of(study)}
    for cell in cells.values():
        key = (str(cell.model.base), cell.dataset.dataset, cell.variant.name)
        if cell.model.base is not None and key in cells:
            yield cell, cells[key]


def _added(dataset: StudiedDataset) -> tuple[str, ...]:
    return () if dataset.path is None else (_named(ADD, dataset.dataset),)


def named_of(kind: str, cell: StudyCell) -> str:
    """The name of a cell's step of a kind."""
    return _named(kind, cell.model.name, cell.variant.name, cell.dataset.dataset)


def _named(*parts: str) -> str:
    """One name of several that holds no separator twice, so that no two steps share one."""
    return ",".join(quote(part, safe="") for part in parts)


def _arguments(study: Study, options: Options) -> list[str]:
    """Options as a command line has them."""
    found = []
    for key, value in options.items():
        name = key.replace("_", "-")
        if key in OWN:
            raise UsageError(f"{study.path}: the study gives --{name} itself; leave out {key}")
        for each in value if isinstance(value, list) else [value]:
            if each is True:
                found.append(f"--{name}")
            elif isinstance(each, str | int | float) and each is not False:
                found.append(f"--{name}={each}")
            elif each is not False:
                raise UsageError(f"{study.path}: {key} must be a text, a number or true: {each!r}")
    return found
