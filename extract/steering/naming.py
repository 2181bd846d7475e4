"""Naming: what a direction's name means, before anything is read."""

from pathlib import Path

from warehouse.errors import UsageError, nearest
from warehouse.vocabulary import STEER_DIRECTIONS


def refuse_unknown_direction(direction: str) -> None:
    """Raise UsageError for what is neither one of our directions nor a file."""
    if direction not in STEER_DIRECTIONS and not Path(direction).is_file():
        raise UsageError(
            f"unknown direction {direction!r}, which is no file either"
            f"{nearest(direction, STEER_DIRECTIONS)}"
        )
