"""What is installed: this package, and the extensions that others bring in their entry points.

An extension's package names a class, or an object of it, as an entry point of one of our groups
(`layerhouse.models`, `layerhouse.faults`, …), and is found as soon as it is installed.
"""

from functools import cache
from importlib.metadata import (
    EntryPoint,
    PackageNotFoundError,
    distributions,
    entry_points,
    version,
)
from traceback import walk_tb
from typing import Any, TypeVar, cast

from warehouse.errors import LayerhouseError, said

T = TypeVar("T")


def layerhouse_version() -> str:
    """The version that is installed; "unknown" in a checkout that is not installed."""
    try:
        return version("layerhouse")
    except PackageNotFoundError:
        return "unknown"


def installed(group: str, of_type: type[T]) -> dict[str, T]:
    """What the entry points of a group name, by the entry point's name; classes as objects.

    Raises LayerhouseError naming the package for an entry point that cannot be loaded, names
    something else than `of_type`, leaves out what `of_type` announces by an annotation, or has
    the name of another package's.
    """
    return dict(_loaded(group, cast(Any, of_type)))


def names(group: str) -> tuple[str, ...]:
    """The names of a group's entry points; nothing of their packages is imported."""
    return tuple(point.name for point in entry_points(group=group))


@cache
def _loaded(group: str, of_type: type[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for point in entry_points(group=group):
        if point.name in found:
            raise _broken(point, "is brought by two packages")
        found[point.name] = _load(point, of_type)
    return found


def _load(point: EntryPoint, of_type: type[Any]) -> Any:
    try:
        named = point.load()
        made = named() if isinstance(named, type) and issubclass(named, of_type) else named
    except Exception as error:  # an installed package's code raises anything
        said = f"{type(error).__name__}: {error}"
        raise _broken(point, f"cannot be loaded ({said})") from error
    if not isinstance(made, of_type):
        raise _broken(point, f"is no {of_type.__name__}")
    if unsaid := [name for name in _told_of(type(made)) if not hasattr(made, name)]:
        raise _broken(point, f"does not say its {' and '.join(unsaid)}")
    return made


def raised_by_package(error: Exception) -> LayerhouseError | None:
    """What to say of an error that left an extension's own code, or what that called.

    None where none of it was at work.
    """
    points = [point for package in distributions() for point in package.entry_points]
    brought = {_top(point.module): point for point in points if _is_ours(point.group)}
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        if point := brought.get(_top(frame.f_globals.get("__name__", ""))):
            where = f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}"
            return LayerhouseError(
                f"{where} of {_package(point)} fails: {said(error)}; mend or uninstall it "
                "(--debug shows the traceback)"
            )
    return None


def _top(module: str) -> str:
    return module.partition(".")[0]


def _is_ours(group: str) -> bool:
    return group.startswith("layerhouse.")


def _told_of(kind: type) -> dict[str, Any]:
    """What a class and those it derives from announce by an annotation, those above first."""
    return {
        name: told
        for base in reversed(kind.__mro__)
        for name, told in vars(base).get("__annotations__", {}).items()
    }


def _broken(point: EntryPoint, how: str) -> LayerhouseError:
    return LayerhouseError(
        f"the entry point {point.name} of {point.group} {how}; mend or uninstall {_package(point)}"
    )


def _package(point: EntryPoint) -> str:
    return f"the package {point.dist.name}" if point.dist else "the package that brings it"
