"""Another module of the name of one of our packages is named, not run half-way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from layerhouse.shadows import PACKAGES


def _python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", PACKAGES)
@pytest.mark.parametrize("form", ["{}.py", "{}/__init__.py"])
def test_a_module_of_our_name_is_refused_by_its_file(name: str, form: str, tmp_path: Path) -> None:
    file = tmp_path / form.format(name)
    file.parent.mkdir(exist_ok=True)
    file.write_text("raise SystemExit('this must not run')\n")
    done = _python("-c", "import layerhouse", cwd=tmp_path)
    said = done.stderr.splitlines()[-1]
    assert said.startswith("ImportError: layerhouse cannot start")
    assert str(file) in said
    assert done.returncode == 1


def test_a_script_of_our_name_that_imports_layerhouse_learns_why_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "extract.py").write_text("import layerhouse\n")
    done = _python("extract.py", cwd=tmp_path)
    assert f"hidden by {tmp_path / 'extract.py'}" in done.stderr.splitlines()[-1]


def test_the_command_says_so_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "analysis.py").touch()
    done = _python("-m", "layerhouse", "status", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: layerhouse cannot start")
    assert str(tmp_path / "analysis.py") in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_of_queries_called_sql_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "lakehouse" / "commits").mkdir(parents=True)
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "__init__.py").touch()
    done = _python("-m", "layerhouse", "sql", "SELECT count(*) AS n FROM signal_flow", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "n\n0\n"


def test_a_checkout_that_is_not_installed_starts(tmp_path: Path) -> None:
    script = (
        "import importlib.metadata as installed\n"
        "known = installed.version\n"
        "def version(name):\n"
        "    if name == 'layerhouse': raise installed.PackageNotFoundError(name)\n"
        "    return known(name)\n"
        "installed.version = version\n"
        "from layerhouse.cli import main\n"
        "main(['--version'])\n"
    )
    done = _python("-c", script, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "unknown\n"), done.stderr
