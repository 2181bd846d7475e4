"""Options that several commands share, and the names they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from layerhouse.cli.shared.words import Word
from warehouse.errors import UsageError
from warehouse.lake import Lake

Command = TypeVar("Command", bound=Callable[..., Any])


def _lake(context: click.Context, _option: click.Parameter, value: str | None) -> Lake:
    lake = Lake.at(value)
    context.find_root().obj = lake
    return lake


lake_option = click.option(
    "--lake",
    envvar="LAYERHOUSE_LAKE",
    metavar="PATH|URL",
    callback=_lake,
    help="The lake's folder, or s3://bucket/prefix, gs://….  [default: ./lakehouse]",
)


def limit_options(command: Command) -> Command:
    """How long a query may take, and how much memory."""
    timeout = click.option("--timeout", type=float, metavar="S", help="Stop after so many seconds.")
    memory = click.option("--memory", metavar="SIZE", help="Take at most so much, such as 4GB.")
    return timeout(memory(command))


format_option = click.option(
    "--format",
    "form",
    type=Word("format", ("table", "json")),
    default="table",
    show_default=True,
    help="For a person, or for a program: the fields of what Python returns.",
)


class OnceOption(click.Option):
    """An option of one value that refuses a second: click takes the last without a word, and
    somebody meant the first too. `way_out` says how both are had; without one, the command is run
    for each.
    """

    def __init__(self, *args: Any, way_out: str = "", **attributes: Any) -> None:
        super().__init__(*args, **attributes | {"multiple": True})
        self.way_out = way_out

    def value_from_envvar(self, ctx: click.Context) -> Any:
        value = self.resolve_envvar_value(ctx)
        return None if value is None else (value,)  # whole: a folder's name may have spaces

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        values = super().process_value(ctx, value)
        if len(values) > 1:
            way_out = self.way_out or _for_each(ctx)
            raise UsageError(f"{self.opts[0]} is given {len(values)} times: {way_out}")
        return values[0] if values else None


def _for_each(context: click.Context) -> str:
    """How a command is run for several; a study runs some of them for all."""
    from layerhouse.study import COMMANDS

    in_a_study = context.command_path.split()[1:] in [[name] for name in COMMANDS]
    more = ", or all of them by `layerhouse study`" if in_a_study else ""
    return f"run the command once for each{more}"


def named_option(
    *names: str, metavar: str, help_text: str, required: bool = True
) -> Callable[[Command], Command]:
    """What is run or shown, by its name; one of them."""
    return click.option(
        *names,
        cls=OnceOption,
        required=required,
        metavar=metavar,
        help=help_text,
    )


def model_option(help_text: str, *, required: bool = True) -> Callable[[Command], Command]:
    return named_option("--model", metavar="M", help_text=help_text, required=required)


def dataset_option(help_text: str, *, required: bool = True) -> Callable[[Command], Command]:
    return named_option("--dataset", metavar="D", help_text=help_text, required=required)
