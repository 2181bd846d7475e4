from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from warehouse.errors import UsageError, nearest

if TYPE_CHECKING:
    from extract.answering import ClassNames


@click.group("answers", short_help="What models answered: how a reply is read.")
def command() -> None:
    """What models answered, and how replies are read."""


@command.command("explain")
@click.option(
    "--class",
    "labels",
    metavar="NAME",
    multiple=True,
    required=True,
    help="A class, in the order of the question; repeatable.",
)
@click.option(
    "--phrase",
    "phrases",
    metavar="NAME=PHRASE",
    multiple=True,
    help="What a class is also called; repeatable.",
)
@click.option("--reply", required=True, metavar="TEXT", help="What the model wrote.")
@click.option(
    "--letters/--no-letters",
    default=True,
    show_default=True,
    help="Whether the question listed the classes as A, B, C …",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def explain(
    labels: tuple[str, ...], phrases: tuple[str, ...], reply: str, letters: bool, form: str
) -> None:
    """Say which class a reply names, by the rules that every stored reply is read by, and why.

    \b
    layerhouse answers explain --class normal --class pneumonia --reply "No sign of pneumonia."
    layerhouse answers explain --class 0 --class 1 --phrase 0=healthy --reply "Healthy."
    """
    from extract.answering import read_reply

    reading = read_reply(reply, _classes(labels, phrases), letters=letters)
    named = None if reading.index is None else labels[reading.index]
    if form == "json":
        click.echo(json.dumps({"class": named, "why": reading.why}, ensure_ascii=False))
    else:
        click.echo(f"{named or 'no answer'}: {reading.why}")


def _classes(labels: tuple[str, ...], phrases: tuple[str, ...]) -> list[ClassNames]:
    """The names of every class; a label may itself hold an equals sign, as "<=5 mm" does."""
    from extract.answering import ClassNames

    if len(set(labels)) < len(labels):
        raise UsageError("a class is named twice; give each --class once")
    called = {label: label for label in labels}
    for phrase in phrases:
        label = max(
            (name for name in labels if phrase.startswith(f"{name}=")), key=len, default=None
        )
        if label is None:
            name = phrase.partition("=")[0]
            raise UsageError(f"--phrase {phrase!r} names no --class{nearest(name, labels)}")
        called[label] = phrase[len(label) + 1 :]
    return [ClassNames(label, phrase) for label, phrase in called.items()]
