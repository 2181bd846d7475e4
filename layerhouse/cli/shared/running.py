"""Options of the commands that run a model: which variant of it, at which loci, on what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from layerhouse.cli.shared.options import Command, OnceOption
from layerhouse.cli.shared.words import Word
from warehouse.images import MAX_PIXELS
from warehouse.vocabulary import DTYPES, MODULES, QUANTIZATIONS


def adapter_option(name: str, help_text: str) -> Callable[[Command], Command]:
    """`name` takes one folder; a second one is refused, since adapters are not stacked."""
    return click.option(
        name,
        cls=OnceOption,
        way_out="one adapter is merged at a time; merge the first into the model with peft, save "
        "that and give it as --model",
        type=click.Path(path_type=Path),
        help=help_text,
    )


def fault_option(name: str, help_text: str) -> Callable[[Command], Command]:
    return click.option(name, multiple=True, help=help_text)


def quantization_option(name: str, help_text: str) -> Callable[[Command], Command]:
    return click.option(name, type=Word("quantization", QUANTIZATIONS), help=help_text)


def module_option(default: str) -> Callable[[Command], Command]:
    return click.option(
        "--module",
        multiple=True,
        type=Word("module", MODULES),
        help=f"Only loci of this part of the model; repeatable.  [default: {default}]",
    )


layer_option = click.option(
    "--layer",
    multiple=True,
    help="An index (negatives count from the end), post_norm or final_norm; repeatable.",
)


def trained_on_option(help_text: str) -> Callable[[Command], Command]:
    return click.option(
        "--trained-on", multiple=True, metavar="SPLIT|ATTRIBUTE|FILE", help=help_text
    )


system_option = click.option(
    "--system", metavar="TEXT", help="The system text, in the place of the prompt's own."
)

device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, …"
)

dtype_option = click.option(
    "--dtype",
    type=Word("dtype", ("auto", *DTYPES)),
    default="auto",
    show_default=True,
    help="The numbers of weights and activations.",
)

batch_size_option = click.option(
    "--batch-size", default="auto", show_default=True, help="auto, or a number."
)

max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=MAX_PIXELS,
    show_default=True,
    help="Reject images of more pixels.",
)

skip_bad_option = click.option(
    "--skip-bad", is_flag=True, help="Exit 0 even if images had to be rejected."
)
