"""Commands in sentences can be pasted: what they name is one word of a shell, whatever it is."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lakes import Signals, synthetic_lake
from tests.test_rooms import modules
from warehouse.errors import UsageError
from warehouse.publishing import open_published
from warehouse.status import status

COMMAND = re.compile(r"`layerhouse[^`]*|`--[^`]*")
PLAIN = re.compile(
    r"(\w+\.)?run_id|\w+(\[0\])?\['run_id'\]|self\.table|pair|command|making\(.*|finding\.arguments"
)
"""What needs no quotes: ids, tables and commands of ours, and options that were quoted before."""


def unquoted(source: str) -> list[str]:
    """What the commands in a module's sentences name and do not quote."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            text = "".join(
                part.value if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
                for part in node.values
            )
            named = re.findall(r"\{(.*?)\}", " ".join(COMMAND.findall(text)))
            found += [name for name in named if "quote(" not in name and not PLAIN.fullmatch(name)]
    return found


@pytest.mark.parametrize("name", ["model_id", "job.dataset_id", "run['model_id']", "str(place)"])
def test_a_name_without_quotes_is_found(name: str) -> None:
    sentence = f'f"take it out with `layerhouse models remove {{{name}}}` first, {{reason}}"'
    assert unquoted(sentence) == [name]
    assert unquoted(sentence.replace(name, f"shlex.quote({name})")) == []


def test_every_command_in_a_sentence_quotes_what_it_names() -> None:
    found = {str(path): unquoted(path.read_text("utf-8")) for path in modules()}
    assert {path: names for path, names in found.items() if names} == {}


def _pasted(command: str, folder: Path, lake: Path) -> subprocess.CompletedProcess[str]:
    """What a person's own shell makes of a command."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path, "LAYERHOUSE_LAKE": str(lake)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_advised_commands_do_in_a_shell_what_they_say(tmp_path: Path) -> None:
    name = "it's my $model; touch spoilt"
    lake = synthetic_lake(tmp_path / "my lake", {name: Signals()}, n_samples=40)
    asked = _pasted(str(status(lake).next_command), tmp_path, lake.root)
    assert asked.returncode == 2
    assert f"unknown model {name!r}" in asked.stderr
    missing = tmp_path / "what's for BI; touch spoilt.duckdb"
    with pytest.raises(UsageError) as caught:
        open_published(missing)
    (command,) = re.findall(r"`(layerhouse publish .*)` writes one", str(caught.value))
    assert shlex.split(command)[-1] == str(missing)
    assert _pasted(command, tmp_path, lake.root).returncode == 0
    open_published(missing).close()
    assert not list(tmp_path.glob("spoilt*"))
