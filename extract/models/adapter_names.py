"""Names in adapters: which module of today a key belongs to, and which modules patterns mean
that were written for names of an older release.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

TUNER, PREFIX = "base_model.", "base_model.model."
OWNED = ("weight", "bias", "token_adapter", "base_layer")
"""What follows a module's name in keys that no tuner made: parts that were trained whole."""


class KeyNames:
    """Finds the module that an adapter's key belongs to, also under older names of it."""

    def __init__(self, model: Any, tuner: str, mapping: Mapping[str, str]) -> None:
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import WeightRenaming

        self.modules = {name for name, _ in model.named_modules()}
        self.starts = (tuner, *OWNED)
        self.mapping = mapping
        found = get_model_conversion_mapping(model)
        self.renamings = [step for step in found if isinstance(step, WeightRenaming)]
        self.trailing_name = re.compile(rf"(\.{re.escape(tuner)}\w*)\.default(?=\.|$)")

    def given(self, key: str) -> str:
        """A key without what peft puts around it."""
        return self.trailing_name.sub(r"\1", key.removeprefix(PREFIX))

    def of_today(self, key: str) -> str:
        """A key without its prefix, as it is called today; as it was where nothing fits."""
        from transformers.core_model_loading import rename_source_key

        given = mapped = self.given(key)
        for old, new in self.mapping.items():  # the names of a layout of the model's own
            mapped = re.sub(old, new, mapped)
        renamed = rename_source_key(given, self.renamings, [])[0]
        for name in (given, renamed, mapped):
            if self.owner(name, *self.starts) is not None:
                return name
        return given

    def owner(self, name: str, *starts: str) -> str | None:
        """The module of this model that a key belongs to, None where it has no such module."""
        parts = name.split(".")
        for cut, part in enumerate(parts):
            if cut and any(part.startswith(start) for start in starts):
                owner = ".".join(parts[:cut])
                return owner if owner in self.modules else None
        return None


def beginnings(today: str, older: str) -> tuple[str, str]:
    """What two names of one module begin with, before what they share."""
    ours, theirs = today.split("."), older.split(".")
    while ours and theirs and ours[-1] == theirs[-1]:
        del ours[-1], theirs[-1]
    return "".join(f"{part}." for part in ours), "".join(f"{part}." for part in theirs)


def due_by_older_names(
    config: Any, begun: Iterable[tuple[str, str]], modules: Iterable[str]
) -> set[str]:
    """The modules that the patterns of peft's config name, each by what the adapter calls it.

    `begun` are pairs of what names of today and older ones begin with.
    """
    from peft.tuners.tuners_utils import check_target_module_exists

    if not config.target_modules:
        return set()
    pairs = list(begun)
    return {
        name
        for name in modules
        for today, older in pairs
        if name.startswith(today)
        and check_target_module_exists(config, older + name.removeprefix(today))
    }


def of_their_kinds(owners: Collection[str], modules: Iterable[str]) -> set[str]:
    """All modules of the kinds that some have: a projection in every layer."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for name in modules:
        kinds[_kind(name)].add(name)
    return set().union(*(kinds[_kind(name)] for name in owners))


def _kind(module: str) -> str:
    return re.sub(r"\.\d+(?=\.|$)", ".#", module)
