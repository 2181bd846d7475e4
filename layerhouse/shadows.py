"""Refuses to start where another module stands in the place of one of Layerhouse's packages.

`extract`, `analysis` and `warehouse` are names that a person's own scripts have too, and whatever
comes first on the import path wins. (`sql` is read as files beside `warehouse`, so nothing can take
its place.)
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("warehouse", "extract", "analysis")


def refuse_shadows() -> None:
    """Raise ImportError naming the file in the way; as a command, print that and exit with 1."""
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        found = _found(name)
        if found == home / name / "__init__.py":
            continue
        sentence = (
            f"layerhouse cannot start: its package {name!r} is hidden by {found}; rename that, or "
            "start somewhere else"
            if found
            else f"layerhouse cannot start: its package {name!r} is missing; install it again"
        )
        if _is_command():
            raise SystemExit(f"Error: {sentence}")
        raise ImportError(sentence, name=name, path=str(found))


def _found(name: str) -> Path | None:
    """The file that `import name` runs or has run; a folder where it is a folder without one."""
    loaded = sys.modules.get(name)
    spec = find_spec(name) if loaded is None else loaded.__spec__
    if spec is None:
        return None
    places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or ())
    return Path(places[0]).resolve() if places and places[0] else None


def _is_command() -> bool:
    # While `python -m layerhouse` imports the package, the first argument still is "-m".
    started = sys.argv[0] if sys.argv else ""
    return Path(started).stem == "layerhouse" or (started == "-m" and "layerhouse" in sys.orig_argv)
