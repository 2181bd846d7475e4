"""Which device work runs on: one rule for models, networks and probes.

Extraction and analysis both choose one. Nothing here knows torch, so each says what torch finds.
"""

from warehouse.errors import UsageError, nearest


def device_called(asked: str, *, cuda: bool, mps: bool) -> str:
    """The device meant by `asked`: `auto` is a GPU where there is one, else the CPU.

    `cuda` and `mps` say whether this machine has such a device. Raises UsageError for a device that
    is unknown or not there.
    """
    if asked == "auto":
        return "cuda" if cuda else "cpu"
    present = {"cpu": True, "cuda": cuda, "mps": mps}
    kind = asked.partition(":")[0]
    if kind not in present:
        raise UsageError(f"unknown device {asked!r}{nearest(kind, [*present, 'auto'])}")
    if not present[kind]:
        raise UsageError(f"this machine has no {kind} device; leave --device at auto")
    return asked
