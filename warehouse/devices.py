"""Which device work runs on: one rule for models, networks and probes.

Extraction and analysis both choose one. Nothing here knows torch, so each says what torch finds.
"""

import re

from warehouse.errors import UsageError, nearest

AUTO = "auto"
KINDS = ("cpu", "cuda", "mps")


def refuse_unknown_device(asked: str) -> None:
    """Raise UsageError for what is no device's name, whatever this machine has."""
    kind, sign, number = asked.partition(":")
    if kind not in KINDS and asked != AUTO:
        raise UsageError(f"unknown device {asked!r}{nearest(kind, [*KINDS, AUTO])}")
    if sign and not re.fullmatch(r"[0-9]{1,3}", number):
        raise UsageError(f"the device {asked!r} has no number; write it as {kind}:0")


def device_called(asked: str, *, cuda: bool, mps: bool) -> str:
    """The device meant by `asked`: `auto` is a GPU where there is one, else the CPU.

    `cuda` and `mps` say whether this machine has such a device. Raises UsageError for a device that
    is unknown or not there.
    """
    refuse_unknown_device(asked)
    if asked == AUTO:
        return "cuda" if cuda else "cpu"
    present = {"cpu": True, "cuda": cuda, "mps": mps}
    kind = asked.partition(":")[0]
    if not present[kind]:
        raise UsageError(f"this machine has no {kind} device; leave --device at auto")
    return asked
