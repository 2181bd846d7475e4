"""The command line: parses, calls the packages, prints. Nothing else happens here."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from keyword import iskeyword
from pathlib import Path

import click

from layerhouse.parts import part
from layerhouse.printing import guarded, plain, unbroken
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.extensions import layerhouse_version, raised_by_package

__all__ = ["main"]

COMMANDS = {
    "demo": "all",
    "models": "extract",
    "datasets": "extract",
    "runs": None,
    "extract": "extract",
    "answers": "extract",
    "probe": "analysis",
    "baseline": "analysis",
    "patch": "extract",
    "steer": "extract",
    "diagnose": None,
    "power": None,
    "compare": None,
    "mend": "extract",
    "report": "analysis",
    "figures": "analysis",
    "project": "analysis",
    "validate": "validate",
    "sql": None,
    "shell": None,
    "explore": "explore",
    "mcp": "mcp",
    "publish": None,
    "delta": "delta",
    "export": "extract",
    "import": "extract",
    "status": None,
    "compact": None,
    "study": "all",
}
"""Every command with the extra that installs what it needs; None needs nothing more."""

GROUPS = ("models", "datasets", "runs", "answers", "study")
"""The commands that have commands of their own."""


class LazyGroup(click.Group):
    """Imports a command's module when it is asked for, so that `--help` starts at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"layerhouse.cli.{_module(cmd_name)}").command
        assert isinstance(command, click.Command)
        _bind_environment(command, f"LAYERHOUSE_{cmd_name.upper()}")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            meant = self._below(ctx, args[0]) or nearest(args[0], COMMANDS)
            raise UsageError(f"there is no command {args[0]!r}{meant}")
        return super().resolve_command(ctx, args)

    def _below(self, ctx: click.Context, typed: str) -> str:
        """The commands of a group that are called so, as the end of a sentence; empty for none."""
        groups = {name: self.get_command(ctx, name) for name in GROUPS}
        found = [
            f"{name} {typed}"
            for name, group in groups.items()
            if isinstance(group, click.Group) and typed in group.commands
        ]
        meant = " or ".join(f"`layerhouse {command}`" for command in found)
        return f"; did you mean {meant}?" if found else ""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except Exception as fault:
            from warehouse.catalogue import forget_damaged

            said = None if ctx.obj is None else forget_damaged(ctx.obj, fault)
            if said is None:
                raise
            raise said from fault


def _module(name: str) -> str:
    return f"{name}_" if iskeyword(name) else name


def _bind_environment(command: click.Command, prefix: str) -> None:
    """Lets every option come from `<prefix>_<OPTION>`, by the name a person types, not ours."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            _bind_environment(inner, f"{prefix}_{name.upper()}")
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.envvar is None:
            option = max(parameter.opts, key=len).lstrip("-")
            parameter.envvar = f"{prefix}_{option.replace('-', '_').upper()}"


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(layerhouse_version(), message="%(version)s")
def layerhouse() -> None:
    """Shows where on the way from pixel to answer a multimodal LLM loses the class of an image.

    Try `layerhouse demo`: the whole story on a shipped tiny model, offline, under two minutes.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 the work or a check failed, 2 wrong usage, 130 stopped
    by the keyboard."""
    _open_closed_streams()
    if sys.flags.optimize > 1:
        sys.exit(_fail(WITHOUT_HELP, UsageError.exit_code))
    code = _run(list(sys.argv[1:] if arguments is None else arguments))
    if "duckdb" in sys.modules:
        _leave_behind(code)
    sys.exit(code)


def _open_closed_streams() -> None:
    """Where services and `>&-` start a program without them Python has None, and the next file
    opened, one of a lake, would get their number, and with it what libraries print."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # of number 0, 1 and 2
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115


def _leave_behind(code: int) -> None:
    """End without what Python does at its end, which would wait for a query that does not stop."""
    from warehouse.catalogue import still_working

    if still_working():
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # its reader has gone, or it is closed
                stream.flush()
        os._exit(code)


WITHOUT_HELP = (
    "python -OO (PYTHONOPTIMIZE=2) takes the docstrings away, which transformers and others read "
    "at work, and the help is made of; start it with -O at most"
)
STOPPED = 128 + signal.SIGINT
"""As a shell has it of what the keyboard ended."""
INTERRUPTED = "Query interrupted"
"""All that DuckDB says, in a RuntimeError, where the keyboard met it at work in the main thread."""
MOST_SHOWN = 300
"""Letters of a path that a message holds; one may be refused for having more."""


def _run(arguments: list[str]) -> int:
    debug = "--debug" in arguments or bool(os.environ.get("LAYERHOUSE_DEBUG"))
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        with guarded(), part(COMMANDS.get(next(iter(arguments), "")) or "all"):
            code = layerhouse.main(arguments, prog_name="layerhouse", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as help_wanted:
        click.echo(help_wanted.format_message())
        return 2
    except click.ClickException as fault:
        return _fail(fault.format_message(), fault.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _stopped()
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has seen enough; Python would complain at shutdown.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except LayerhouseError as fault:
        if debug:
            raise
        return _fail(str(fault), fault.exit_code)
    except Exception as fault:
        if debug:
            raise
        if refused := _refused_by_the_system(fault):
            return _fail(refused, 1)
        if isinstance(fault, RuntimeError) and str(fault) == INTERRUPTED:
            return _stopped()
        if told := raised_by_package(fault):
            return _fail(str(told), told.exit_code)
        said = f"{type(fault).__name__}: {fault}".splitlines()[0]
        return _fail(f"unexpected failure, {said} (run again with --debug for the traceback)", 1)


def _stopped() -> int:
    told = "stopped by the keyboard; what was committed stays, run it again to go on"
    return _fail(told, STOPPED)


def _refused_by_the_system(fault: Exception) -> str | None:
    """A sentence about a path that no file can have or that may not be read, whoever met it."""
    if isinstance(fault, RuntimeError) and "home directory" in str(fault):  # Path.expanduser
        return "a path begins with ~ and the name of no user of this machine; write it out"
    if isinstance(fault, RuntimeError) and "Symlink loop" in str(fault):  # Path.resolve
        return f"{str(fault).partition(' from ')[2]} is a link that leads back to itself"
    if isinstance(fault, FileNotFoundError) and fault.filename is None:  # os.getcwd
        return "the folder that this was started in is gone; change into one that is there"
    if isinstance(fault, OSError) and fault.errno == errno.ENOSPC and fault.filename is None:
        return f"what is printed cannot be written: {fault.strerror}"
    if not isinstance(fault, OSError) or not isinstance(fault.filename, str | bytes):
        return None
    name = os.fsdecode(fault.filename)
    shown = name if len(name) <= MOST_SHOWN else f"{name[:MOST_SHOWN]}…"
    return f"the system refuses {shown}: {fault.strerror}"


def _fail(sentence: str, code: int) -> int:
    laid_out = "\n" in sentence  # a query with a caret below its fault
    with guarded():
        stream = unbroken(sys.stderr) if laid_out else sys.stderr
        click.echo(f"Error: {plain(sentence)}", file=stream)
    return code
