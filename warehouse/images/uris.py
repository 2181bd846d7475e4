"""Uris of images: where stored pixels lie, and what was decided about them when they were added.

A decision stands behind the place, so that no reader has to know it from elsewhere:

    /data/heart.dcm#frame=3               the third frame of several
    /data/xray.png#range=0,4095           stored 0 is black and stored 4095 is white
    /data/mole.png#on=white               transparent parts are laid on white
    /data/set.arrow#image/12&range=0,1    row 12, whose values go from 0 to 1
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from warehouse.errors import UsageError

BACKGROUND = "black"
"""What transparent parts lie on: mostly it is what was there before something was cut out."""

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_COLOUR = r"\w+(?:\([^&#()]*\))?"
_OPTION = rf"(?:frame=\d+|range={_NUMBER},{_NUMBER}|on={_COLOUR})"
"""Nothing else, since names of files may look like it: `scan#frame=2.dcm` is one."""
_OPTIONS = re.compile(f"[#&]({_OPTION}(?:&{_OPTION})*)$")


@dataclass(frozen=True)
class Preparation:
    """What was decided about an image: the defaults where nothing had to be.

    `frame` counts from 1. `shown` are the stored values that become black and white, for pictures
    of more than 8 bits; in DICOM they are counted after the modality transform. `background` is the
    name of a colour, or six hexadecimal digits.
    """

    frame: int | None = None
    shown: tuple[float, float] | None = None
    background: str = BACKGROUND

    def __str__(self) -> str:
        """As it stands in a uri; empty where nothing was decided."""
        said = []
        if self.frame is not None:
            said.append(f"frame={self.frame}")
        if self.shown is not None:
            said.append("range={:.12g},{:.12g}".format(*self.shown))
        if self.background != BACKGROUND:
            said.append(f"on={self.background}")
        return "&".join(said)

    @property
    def colour(self) -> tuple[int, int, int]:
        """The background as RGB; UsageError for what is no colour."""
        from PIL import ImageColor

        is_hex = re.fullmatch("[0-9a-fA-F]{6}", self.background)
        try:
            found = ImageColor.getrgb(f"#{self.background}" if is_hex else self.background)
        except ValueError:
            raise UsageError(
                f"{self.background!r} is no colour; give a name such as white or #rrggbb"
            ) from None
        return found[0], found[1], found[2]


def with_preparation(place: str, how: Preparation) -> str:
    """The uri of what lies at `place`, to be opened so."""
    decided = str(how)
    if not decided:
        return place
    return f"{place}{'&' if '#' in place else '#'}{decided}"


def parted(uri: str) -> tuple[str, Preparation]:
    """The place of the stored pixels, and how they are to be opened."""
    found = _OPTIONS.search(uri)
    if found is None:
        return uri, Preparation()
    said = dict(option.split("=", 1) for option in found[1].split("&"))
    frame = int(said["frame"]) if "frame" in said else None
    low, high = map(float, said.get("range", "0,0").split(","))
    shown = (low, high) if "range" in said else None
    return uri[: found.start()], Preparation(frame, shown, said.get("on", BACKGROUND))
