"""Faults: known damage done to a healthy model, to see whether the diagnosis finds it.

A fault is written `KIND@STAGE[.LAYER][:SEVERITY][,seed=N]`, for instance `swap@vision:0.5`,
`noise@llm.12:4,seed=3` or `head@answer:0.3`. Without a layer it strikes where the stage ends. What
it does to a sample depends on the seed, the dataset and the sample's id, never on its batch.

Destroying faults take information away at a stage, so that stage is what a diagnosis must name.
Shifting faults disturb, and may leave the information readable. An erasure is one of them: it takes
out all that tells classes linearly, and on real images later layers still read the rest.
"""

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from PIL import Image

from warehouse.errors import UsageError, nearest
from warehouse.vocabulary import MODULES, STAGES


@dataclass(frozen=True)
class Kind:
    """What a kind of fault means: where it can strike, and what its severity is."""

    severity: str
    default: float
    low: float
    high: float
    stages: tuple[str, ...] = MODULES
    destroying: bool = False
    whole: bool = False


KINDS = {
    "swap": Kind("share of samples that get another image's activations", 1, 0, 1, MODULES, True),
    "erase": Kind("share of samples whose tokens lose what tells classes", 1, 0, 1),
    "head": Kind("share of classes whose label tokens change places", 1, 0, 1, ("answer",), True),
    "noise": Kind("standard deviations of noise on every token", 4, 0, 1e6),
    "drop": Kind("share of image tokens set to zero", 0.5, 0, 1),
    "rank": Kind("directions every token is squeezed into", 1, 1, 1e6, whole=True),
    "quantise": Kind("bits per activation", 2, 1, 16, whole=True),
    "lowres": Kind("pixels left of the image's shorter side", 8, 1, 1e6, ("vision",), whole=True),
    "block": Kind("share of image tokens the reply cannot look at", 1, 0, 1, ("llm",)),
}


@dataclass(frozen=True)
class Fault:
    """One fault, as its text says."""

    kind: str
    stage: str
    layer: int | None
    severity: float
    seed: int = 0

    @property
    def destroying(self) -> bool:
        """Whether it takes the class away at its stage, so that the stage is the true one."""
        return KINDS[self.kind].destroying

    def strikes(self, sample_id: str) -> bool:
        """Whether a share of the samples as large as the severity holds this one."""
        return self.random("struck", sample_id).random() < self.severity

    @property
    def whole_prompt(self) -> bool:
        """Whether all of a sample's rows are struck, CLS and text among them, or image tokens."""
        return self.kind == "swap" or (self.stage == "llm" and self.kind != "drop")

    def __str__(self) -> str:
        layer = "" if self.layer is None else f".{self.layer}"
        seed = f",seed={self.seed}" if self.seed else ""
        return f"{self.kind}@{self.stage}{layer}:{self.severity:g}{seed}"

    def random(self, *about: object) -> random.Random:
        """A random source for this fault and one subject, such as a sample's id."""
        return random.Random(self._hash(*about))

    def torch_seed(self, *about: object) -> int:
        return self._hash(*about) % 2**63

    def _hash(self, *about: object) -> int:
        # Severity is left out: a stronger fault of one seed strikes the same samples and more.
        text = "\0".join(map(str, (self.kind, self.stage, self.seed, *about)))
        return int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "big")


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
    kind, stage = match["kind"], match["stage"]
    if kind not in KINDS:
        raise UsageError(f"unknown kind of fault {kind!r}{nearest(kind, KINDS)}")
    if stage not in STAGES:
        raise UsageError(f"unknown stage {stage!r} in {spec!r}{nearest(stage, STAGES)}")
    facts = KINDS[kind]
    if stage not in facts.stages:
        raise UsageError(f"{kind} cannot strike at {stage}, only at {', '.join(facts.stages)}")
    if match["layer"] is not None and (stage in ("connector", "answer") or kind == "lowres"):
        raise UsageError(f"{kind}@{stage} has no layers; leave .{match['layer']} out")
    severity = facts.default if match["severity"] is None else _severity(spec, match["severity"])
    _check_severity(spec, facts, severity)
    layer = None if match["layer"] is None else int(match["layer"])
    return Fault(kind, stage, layer, severity, int(match["seed"] or 0))


def _severity(spec: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"the severity {text!r} in {spec!r} is no number") from error


def _check_severity(spec: str, facts: Kind, severity: float) -> None:
    above = severity > 0 if facts.low == 0 else severity >= facts.low
    if not (above and severity <= facts.high) or (facts.whole and severity != int(severity)):
        bound = f"above 0 and at most {facts.high:g}" if facts.low == 0 else f"from {facts.low:g}"
        number = "a whole number" if facts.whole else "a number"
        raise UsageError(f"the severity of {spec!r} is the {facts.severity}: {number} {bound}")


def variant_of(faults: Sequence[Fault], base: str = "base") -> str:
    """The variant's name of a model with these faults: `fault:swap@vision:0.5`, joined by `+`."""
    parts = ([] if base == "base" else [base]) + [f"fault:{fault}" for fault in faults]
    return "+".join(parts) or "base"


@dataclass(frozen=True)
class Exchange:
    """Which samples of a dataset a swap strikes, and whose activations each of them gets."""

    donors: Mapping[str, str] = field(default_factory=dict)


def plan_exchange(fault: Fault, samples: Iterable[tuple[str, str, int]]) -> Exchange:
    """Choose a swap's samples and donors from (sample_id, split, class_index) of a whole dataset.

    In every split exactly the share is struck (rounded), spread evenly over its classes, so that a
    swap's expected loss is its share times what an unrelated image costs. A donor is any other
    sample of the same split.
    """
    by_split: dict[str, list[tuple[str, int]]] = {}
    for sample_id, split, class_index in samples:
        by_split.setdefault(split, []).append((sample_id, class_index))
    donors: dict[str, str] = {}
    for split, members in by_split.items():
        members.sort()
        struck = _spread(fault, split, members)[: round(fault.severity * len(members))]
        for index in struck if len(members) > 1 else []:
            sample_id = members[index][0]
            other = fault.random("donor", sample_id).randrange(len(members) - 1)
            donors[sample_id] = members[other + (other >= index)][0]
    return Exchange(donors)


def _spread(fault: Fault, split: str, members: list[tuple[str, int]]) -> list[int]:
    """All members in an order any beginning of which holds about equal shares of every class."""
    by_class: dict[int, list[int]] = {}
    for index, (_, class_index) in enumerate(members):
        by_class.setdefault(class_index, []).append(index)
    ranked = []
    for class_index, indices in by_class.items():
        fault.random("struck", split, class_index).shuffle(indices)
        ranked += [((r + 0.5) / len(indices), class_index, i) for r, i in enumerate(indices)]
    return [index for _, _, index in sorted(ranked)]


def exchanged_tokens(fault: Fault, phrases: Sequence[Sequence[int]]) -> dict[int, int]:
    """Which label tokens a head fault exchanges: token id → the id whose score it gets.

    The tokens that tell the classes apart, each class's first that no other class shares at its
    place; those of the struck classes change places in a cycle. Raises UsageError where fewer than
    two classes differ.
    """
    tokens = list(dict.fromkeys(telling_tokens(phrases)))
    if len(tokens) < 2:
        raise UsageError("a head fault needs at least two classes with different label tokens")
    order = fault.random("classes").sample(tokens, len(tokens))
    struck = order[: max(2, round(fault.severity * len(tokens)))]
    return dict(zip(struck, struck[1:] + struck[:1], strict=True))


def telling_tokens(phrases: Sequence[Sequence[int]]) -> list[int]:
    """For every phrase the token that sets it apart: the end of its shortest unique beginning."""
    found = []
    for phrase in phrases:
        others = [other for other in phrases if list(other) != list(phrase)]
        for length in range(1, len(phrase) + 1):
            start = list(phrase[:length])
            if not any(list(other[:length]) == start for other in others):
                break
        found.append(phrase[length - 1])
    return found


def degraded(image: Image.Image, faults: Sequence[Fault]) -> Image.Image:
    """The image after the faults that strike before the model: shrunk and blown up again."""
    for fault in faults:
        if fault.kind == "lowres" and min(image.size) > fault.severity:
            scale = fault.severity / min(image.size)
            small = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
            shrunk = image.resize(small, Image.Resampling.BOX)
            image = shrunk.resize(image.size, Image.Resampling.BILINEAR)
    return image
