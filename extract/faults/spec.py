"""How faults are written: `KIND@STAGE[.LAYER][:SEVERITY][,seed=N]`.

For instance `swap@vision:0.5`, `noise@llm.12:4,seed=3` or `head@answer:0.3`. Without a layer a
fault strikes where the stage ends. What it does to a sample depends on the seed, the dataset and
the sample's id, never on its batch.
"""

import re
from collections.abc import Sequence

from extract.faults.fault import Fault
from extract.faults.registry import kind_named
from warehouse.errors import UsageError, nearest
from warehouse.vocabulary import LAYERED, STAGES


def parse_fault(spec: str) -> Fault:
    """Read a fault; UsageError that says what is wrong and what is possible."""
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
    name, stage = match["kind"], match["stage"]
    kind = kind_named(name)
    if stage not in STAGES:
        raise UsageError(f"unknown stage {stage!r} in {spec!r}{nearest(stage, STAGES)}")
    if stage not in kind.stages:
        raise UsageError(f"{name} cannot strike at {stage}, only at {', '.join(kind.stages)}")
    layered = kind.has_layers and stage in LAYERED
    if match["layer"] is not None and not layered:
        raise UsageError(f"{name}@{stage} has no layers; leave .{match['layer']} out")
    severity = kind.severity.default
    if match["severity"] is not None:
        severity = _number(spec, match["severity"])
    kind.severity.check(spec, severity)
    layer = None if match["layer"] is None else int(match["layer"])
    return Fault(kind, stage, layer, severity, int(match["seed"] or 0))


def _number(spec: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"the severity {text!r} in {spec!r} is no number") from error


def variant_of(faults: Sequence[Fault], base: str = "base") -> str:
    """The variant's name of a model with these faults: `fault:swap@vision:0.5`, joined by `+`."""
    parts = ([] if base == "base" else [base]) + [f"fault:{fault}" for fault in faults]
    return "+".join(parts) or "base"
