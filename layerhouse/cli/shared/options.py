"""Options that several commands share, and the names they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from layerhouse.cli.shared.words import Word
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


def model_option(help_text: str) -> Callable[[Command], Command]:
    return click.option("--model", required=True, metavar="M", help=help_text)


def dataset_option(help_text: str) -> Callable[[Command], Command]:
    return click.option("--dataset", required=True, metavar="D", help=help_text)
