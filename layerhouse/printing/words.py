"""How numbers are told: counts with what they count, and intervals."""


def counted(n: int, what: str) -> str:
    """A count of things that take an s: `1 file`, `1,024 files`."""
    return f"{n:,} {what}{'s' * (n != 1)}"


def interval(point: float | None, lower: float | None, upper: float | None) -> str:
    """A loss with its interval in points of accuracy, a dash where there is none."""
    if point is None:
        return "–"
    if lower is None or upper is None:
        return f"{point:.3f}"
    return f"{point:.3f} [{lower:.3f}, {upper:.3f}]"
