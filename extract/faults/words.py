"""The words of a fault's text, `KIND@STAGE[.LAYER][:SEVERITY][,seed=N]`, read without the kinds
themselves: these need torch, and a misspelt word is told before that is imported."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from warehouse.errors import UsageError, nearest
from warehouse.extensions import names
from warehouse.vocabulary import STAGES

GROUP = "layerhouse.faults"
registered: dict[str, Any] = {}
"""The kinds that Python code made known to this process, by name."""


@dataclass(frozen=True)
class FaultWords:
    """What a text says; `layer` and `severity` are None where it leaves them to the kind."""

    kind: str
    stage: str
    layer: int | None
    severity: float | None
    seed: int


def own_kinds() -> list[str]:
    """The names of the kinds that Layerhouse brings, each that of its file."""
    spec = find_spec("extract.faults.kinds")
    folders = spec.submodule_search_locations if spec is not None else None
    files = (path for folder in folders or () for path in Path(folder).glob("[!_]*.py"))
    return sorted(path.stem for path in files)


def read_words(spec: str) -> FaultWords:
    """Read a fault's text; UsageError where it is none, or names a kind or a stage that is none.

    Where packages bring kinds, an unknown one is left to who loads them: they name themselves.
    """
    match = re.fullmatch(
        r"(?P<kind>[a-z]+)@(?P<stage>[a-z]+)(?:\.(?P<layer>-?\d+))?"
        r"(?::(?P<severity>[0-9.eE+-]+))?(?:,seed=(?P<seed>\d+))?",
        spec.strip(),
    )
    if match is None:
        raise UsageError(
            f"{spec!r} is no fault; write KIND@STAGE[.LAYER][:SEVERITY][,seed=N], "
            "for instance swap@vision:0.5"
        )
    kind, stage = match["kind"], match["stage"]
    known = [*own_kinds(), *registered]
    if kind not in known and not names(GROUP):
        raise UsageError(f"unknown kind of fault {kind!r}{nearest(kind, known)}")
    if stage not in STAGES:
        raise UsageError(f"unknown stage {stage!r} in {spec!r}{nearest(stage, STAGES)}")
    layer = None if match["layer"] is None else int(match["layer"])
    severity = None if match["severity"] is None else _number(spec, match["severity"])
    return FaultWords(kind, stage, layer, severity, int(match["seed"] or 0))


def _number(spec: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"the severity {text!r} in {spec!r} is no number") from error
