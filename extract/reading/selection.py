"""Selection: which loci and readouts a person asked for.

One rule for layers: nothing means all, otherwise exactly those that are named; negatives count from
the end, and a norm can be named by its kind. What matches nothing is an error that states the legal
range.
"""

from collections.abc import Callable, Mapping, Sequence

from extract.anatomy import Anatomy, Locus
from extract.reading.readouts import known_readouts, readout_named
from warehouse.errors import UsageError, nearest
from warehouse.vocabulary import BEFORE_LLM, LLM, MODULES, ReadoutFacts

Layers = Sequence[int | str]
Wanted = Sequence[tuple[Locus, tuple[str, ...]]]
"""Loci in pipeline order, each with the readouts to take there."""


def select(
    anatomy: Anatomy,
    available: Mapping[str, tuple[str, ...]],
    *,
    modules: Sequence[str] = (),
    layers: Layers = (),
    readouts: Sequence[str] = (),
) -> Wanted:
    """The loci to read with their readouts, in pipeline order.

    Without readouts: each wherever it exists, or where it is meant for the ends of modules, at each
    module's last locus on the path; none of replies and no tokens. `available` tells which readouts
    of the prompt a locus (by name) has; those of replies are at every locus of the language model,
    tokens where they can be averaged. They are many: unless layers are named, they are taken at the
    ends of the named modules, or else of vision and connector.
    """
    check_names(modules, readouts)
    chosen = _chosen_loci(anatomy, modules, layers)
    ends = {anatomy.end(module).name for module in MODULES}
    known = {name: readout.facts for name, readout in known_readouts().items()}
    replied = {name for name, facts in known.items() if facts.follows_a_reply}
    apart = {name for name, facts in known.items() if facts.is_per_token}
    unusual = {name for name, facts in known.items() if not facts.is_usual}
    for_tokens = {anatomy.end(module).name for module in modules or BEFORE_LLM}
    wanted = []
    for locus in chosen:
        has = {*available[locus.name], *(replied if locus.module == LLM else ())}
        if "mean" in has and (layers or locus.name in for_tokens):
            has |= apart
        usual = {name for name, facts in known.items() if facts.everywhere or locus.name in ends}
        asked = set(readouts) or usual - unusual
        found = tuple(name for name in known if name in asked & has)
        if found:
            wanted.append((locus, found))
    for name in readouts:
        if not any(name in found for _, found in wanted):
            raise UsageError(f"none of the chosen loci has the readout {name!r}")
    return wanted


def of_replies(wanted: Wanted) -> Wanted:
    """What is wanted of the tokens of replies."""
    return _only(wanted, lambda facts: facts.follows_a_reply)


def of_prompts(wanted: Wanted) -> Wanted:
    """What is wanted of the prompts, before the model replies."""
    return _only(wanted, lambda facts: not facts.follows_a_reply)


def of_samples(wanted: Wanted) -> Wanted:
    """What is wanted as one vector of each sample."""
    return _only(wanted, lambda facts: not facts.is_per_token)


def _only(wanted: Wanted, fits: Callable[[ReadoutFacts], bool]) -> Wanted:
    known = known_readouts()
    found = (
        (locus, tuple(name for name in names if fits(known[name].facts))) for locus, names in wanted
    )
    return [(locus, names) for locus, names in found if names]


def check_names(modules: Sequence[str], readouts: Sequence[str]) -> None:
    """Refuse unknown modules and readouts, before a model is loaded."""
    for name in modules:
        if name not in MODULES:
            raise UsageError(f"unknown module {name!r}{nearest(name, MODULES)}")
    for name in readouts:
        readout_named(name)


def _chosen_loci(anatomy: Anatomy, modules: Sequence[str], layers: Layers) -> list[Locus]:
    among = [locus for locus in anatomy.loci if not modules or locus.module in modules]
    if not layers:
        return among
    chosen: set[str] = set()
    for layer in layers:
        matching = {locus.name for locus in among if _is_layer(anatomy, locus, layer)}
        if not matching:
            raise UsageError(f"no locus matches layer {layer!r}; {_legal(among)}")
        chosen |= matching
    return [locus for locus in among if locus.name in chosen]


def _is_layer(anatomy: Anatomy, locus: Locus, layer: int | str) -> bool:
    try:
        number = int(layer)
    except ValueError:
        return locus.kind == layer
    return number in (locus.layer, locus.layer - len(anatomy.of(locus.module)))


def _legal(among: list[Locus]) -> str:
    parts = []
    for module in dict.fromkeys(locus.module for locus in among):
        own = [locus for locus in among if locus.module == module]
        norms = [f"{locus.layer} is {locus.kind}" for locus in own if "norm" in locus.kind]
        span = f"0 to {own[-1].layer} (or {-len(own)} to -1)" if len(own) > 1 else "0"
        parts.append(f"{module} has {span}{', ' + ', '.join(norms) if norms else ''}")
    return "; ".join(parts)
