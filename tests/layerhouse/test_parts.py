"""What is not installed is said in one sentence that names the extra which brings it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from layerhouse.cli import COMMANDS
from layerhouse.parts import BROUGHT, part
from tests.lakes import Signals, synthetic_lake
from warehouse.catalogue import connect
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PARTS = ("extract", "analysis", "validate")

WITHOUT_PARTS = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {missing}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from layerhouse.cli import main
done = []
for arguments in json.loads(sys.argv[1]):
    said = io.StringIO()
    with redirect_stderr(said), redirect_stdout(io.StringIO()):
        try:
            main(arguments)
        except SystemExit as ended:
            done.append((ended.code or 0, said.getvalue()))
print(json.dumps(done))
"""

Ended = tuple[int, str]
"""How a command ended, and what it said to stderr."""


def _without_parts(commands: Collection[tuple[str, ...]], cwd: Path) -> dict[str, Ended]:
    """Commands, by name, in one process that has none of the modules which the extras bring."""
    script = WITHOUT_PARTS.format(missing=sorted(BROUGHT | {"pandas"}))
    command = [sys.executable, "-c", script, json.dumps(list(commands))]
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    ended = [(code, said) for code, said in json.loads(done.stdout)]
    return {words[0]: one for words, one in zip(commands, ended, strict=True)}


def _distribution(requirement: str) -> str:
    return re.split(r"[<>=\[ ]", requirement)[0].lower().replace("_", "-")


def test_the_modules_known_as_brought_are_those_of_the_extras() -> None:
    extras: Mapping[str, list[str]] = PROJECT["optional-dependencies"]
    wanted = {_distribution(each) for extra in PARTS for each in extras[extra]}
    modules = packages_distributions()
    found = {_distribution(name) for module in BROUGHT for name in modules[module]}
    assert found == wanted


def test_the_extra_all_brings_every_part() -> None:
    (everything,) = PROJECT["optional-dependencies"]["all"]
    assert sorted(everything.removeprefix("layerhouse[").rstrip("]").split(",")) == sorted(PARTS)


LACKING: list[tuple[str, ...]] = [
    ("demo",),
    ("extract", "--model", "tiny-digits", "--dataset", "digits"),
    ("models", "verify", "tiny-digits"),
    ("datasets", "add", "digits", "digits"),
    ("probe", "--model", "tiny", "--dataset", "shapes"),
    ("baseline", "--dataset", "digits", "--architecture", "pixels-logistic"),
    ("report",),
    ("figures", "--out", "figures"),
    ("validate",),
]


def test_a_command_whose_part_is_missing_names_its_extra(tmp_path: Path) -> None:
    synthetic_lake(tmp_path / "lakehouse", {"tiny": Signals()}, n_samples=40)
    for name, (code, said) in _without_parts(LACKING, tmp_path).items():
        assert code == 1, name
        assert f"pip install 'layerhouse[{COMMANDS[name]}]'" in said
        assert said.startswith("Error: ")
        assert len(said.splitlines()) == 1


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake of two models that nobody has diagnosed or compared."""
    place = tmp_path_factory.mktemp("filled")
    models = {"tiny": Signals.losing(connector=0.1), "other": Signals.losing(llm=0.1)}
    synthetic_lake(place / "lakehouse", models)
    return place


@pytest.mark.slow
def test_a_command_that_needs_no_part_works_without_any(filled: Path) -> None:
    with connect(Lake.at(filled / "lakehouse")) as wh:
        ((run_id,),) = wh.sql("SELECT run_id FROM run ORDER BY run_id LIMIT 1").fetchall()
    options = {
        "runs": ("remove", run_id, "--dry-run", "--with-dependents"),
        "sql": ("SELECT 1 AS one",),
        "publish": ("--out", "published"),
        "diagnose": ("--model", "tiny", "--dataset", "shapes"),
        "power": ("--dataset", "shapes"),
        "compare": ("--model", "tiny", "--base", "other", "--dataset", "shapes"),
    }
    free = [name for name, extra in COMMANDS.items() if extra is None]
    assert set(options) <= set(free)
    done = _without_parts([(name, *options.get(name, ())) for name in free], filled)
    assert {name: said for name, (code, said) in done.items() if code} == {}
    assert set(done) == set(free)


def test_a_missing_module_that_no_extra_brings_is_no_missing_part() -> None:
    with pytest.raises(ModuleNotFoundError), part("extract"):
        raise ModuleNotFoundError("No module named 'mine'", name="mine")
    with pytest.raises(LayerhouseError, match=r"layerhouse\[extract\]"), part("extract"):
        raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")
