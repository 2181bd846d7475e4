"""What a person said of a source when it was added, as a registration keeps it.

So that a path which is given again is read as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from extract.datasets.checking import AddOptions
from extract.datasets.pixels import PixelOptions
from extract.datasets.source import ReadOptions

_KEPT = ("fractions", "seed")


def said(options: AddOptions) -> dict[str, Any] | None:
    """What differs from saying nothing, as JSON has it; None where nothing does.

    Titles, licences and phrases are kept in rows of their own. A dataset that is one of several
    findings says so, since its source alone is another.
    """
    usual = AddOptions()
    found: dict[str, Any] = {
        name: value for name in _KEPT if (value := getattr(options, name)) != getattr(usual, name)
    }
    for part in ("reading", "pixels"):
        own, plain = getattr(options, part), asdict(getattr(usual, part))
        if differing := {k: v for k, v in asdict(own).items() if v != plain[k]}:
            found[part] = differing
    if options.rule is not None:
        found["per_label"] = True
    return json.loads(json.dumps(found)) if found else None


def options_of(kept: Mapping[str, Any] | None) -> AddOptions:
    """The options that `said` gave this."""
    kept = kept or {}
    pixels = dict(kept.get("pixels", {}))
    if pixels.get("shown"):
        pixels["shown"] = tuple(pixels["shown"])
    return AddOptions(
        **{name: kept[name] for name in _KEPT if name in kept},
        reading=ReadOptions(**kept.get("reading", {})),
        pixels=PixelOptions(**pixels),
    )


def is_finding(kept: Mapping[str, Any] | None) -> bool:
    """Whether a dataset is one of several that were made of its source."""
    return bool(kept and kept.get("per_label"))
