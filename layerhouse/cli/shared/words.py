"""Options whose value is one of the project's words."""

from __future__ import annotations

from collections.abc import Iterable

import click

from warehouse.errors import UsageError, nearest
from warehouse.extensions import names


class Word(click.Choice[str]):
    """One of the words known for `what`, or a name that an installed package brings to `group`.

    Any other is a UsageError with the nearest ones. Packages are asked for names only, so that a
    misspelt option is answered before anything heavy is imported.
    """

    def __init__(self, what: str, known: Iterable[str], group: str | None = None) -> None:
        super().__init__(tuple(known))
        self.what = what
        self.group = group

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in self.choices:
            return value
        known = [*self.choices, *(names(self.group) if self.group else ())]
        if value not in known:
            several = [word.strip() for word in value.split(",")]
            if isinstance(param, click.Option) and param.multiple and set(several) <= set(known):
                each = " ".join(f"{param.opts[0]} {word}" for word in several)
                raise UsageError(f"{value!r} is several; give {each}")
            raise UsageError(f"unknown {self.what} {value!r}{nearest(value, known)}")
        return value
