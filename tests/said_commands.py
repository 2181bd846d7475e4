"""Commands that pages and messages tell a reader to run: whole, so that they run as pasted."""

import re
import shlex
from html import unescape

import click

from layerhouse.cli import layerhouse

TOLD = re.compile(r"(?:\b(?:run|then|and|with)|:) (?:<code>|`)layerhouse ([^`<]+)")
RUNS_MODELS = ("extract", "patch", "steer", "mend")


def said_commands(text: str) -> list[list[str]]:
    """The words of each behind `run`, `then` and the like in a page or a message, as a shell takes
    them; of one that lacks an argument, or names a variant where a model is run, click.UsageError
    or AssertionError."""
    found = [shlex.split(unescape(said)) for said in TOLD.findall(text)]
    for words in found:
        command: click.Command = layerhouse
        rest = list(words)
        while isinstance(command, click.Group):
            group = command.get_command(click.Context(command), rest.pop(0))
            assert group is not None, words
            command = group
        context = command.make_context(words[0], rest)
        if words[0] in RUNS_MODELS:
            assert "+fault:" not in context.params["model"], words
    return found
