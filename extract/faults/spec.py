"""How faults are written: `KIND@STAGE[.LAYER][:SEVERITY][,seed=N]`.

For instance `swap@vision:0.5`, `noise@llm.12:4,seed=3` or `head@answer:0.3`. Without a layer a
fault strikes where the stage ends. What it does to a sample depends on the seed, the dataset and
the sample's id, never on its batch.
"""

from collections.abc import Sequence

from extract.faults.fault import Fault
from extract.faults.registry import kind_named
from extract.faults.words import read_words
from warehouse.errors import UsageError, number_in_name
from warehouse.variants import BASE, FAULT, joined
from warehouse.vocabulary import LAYERED


def parse_fault(spec: str) -> Fault:
    """Read a fault; UsageError that says what is wrong and what is possible."""
    words = read_words(spec)
    name, stage, kind = words.kind, words.stage, kind_named(words.kind)
    if stage not in kind.stages:
        raise UsageError(f"{name} cannot strike at {stage}, only at {', '.join(kind.stages)}")
    if words.layer is not None and not (kind.has_layers and stage in LAYERED):
        raise UsageError(f"{name}@{stage} has no layers; leave .{words.layer} out")
    severity = kind.severity.default if words.severity is None else words.severity
    kind.severity.check(spec, severity)
    severity = float(number_in_name(f"the severity of {spec!r}", severity))
    return Fault(kind, stage, words.layer, severity, words.seed)


def variant_of(variant: str, faults: Sequence[Fault]) -> str:
    """What a variant of a model becomes with these faults."""
    before = [] if variant == BASE else [variant]
    return joined([*before, *(f"{FAULT}:{fault}" for fault in faults)])
