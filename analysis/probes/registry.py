"""Every kind of probe by name: our own, one file each in `kinds/`, then those of other packages."""

from dataclasses import fields, replace
from importlib import import_module
from typing import Any

from analysis.devices import choose_device
from analysis.probes.probe_kind import ProbeKind
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.extensions import installed
from warehouse.vocabulary import PROBE_KINDS

GROUP = "layerhouse.probes"


def probe_kinds() -> dict[str, ProbeKind]:
    """All kinds with their default options, in the vocabulary's order, then by name.

    Raises LayerhouseError for an installed kind that is called like another one or differently
    from its entry point.
    """
    kinds: dict[str, ProbeKind] = {
        name: import_module(f"analysis.probes.kinds.{name}").KIND for name in PROBE_KINDS
    }
    for name, kind in sorted(installed(GROUP, ProbeKind).items()):
        if name in kinds or kind.name != name:
            raise LayerhouseError(
                f"the entry point {name} of {GROUP} brings a probe kind called {kind.name}; its "
                f"name must be that of the entry point and none of {', '.join(kinds)}"
            )
        kinds[name] = kind
    return kinds


def find_kind(name: str, **options: Any) -> ProbeKind:
    """The kind called `name` with these options, otherwise its own, on a GPU if there is one.

    Raises UsageError with the nearest name for one that nobody brings, and for an option that the
    kind has not.
    """
    kinds = probe_kinds()
    if name not in kinds:
        raise UsageError(f"there is no probe kind {name!r}{nearest(name, kinds)}")
    known = [field.name for field in fields(kinds[name])]
    for option in options:
        if option not in known:
            raise UsageError(f"{name} probes have no option {option!r}{nearest(option, known)}")
    changes: dict[str, Any] = {"device": choose_device(), **options}
    return replace(kinds[name], **changes)
