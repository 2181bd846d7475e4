"""The wheel holds what the repository holds, and works where nothing else of it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import Demo

ROOT = Path(__file__).parents[2]
PACKAGES = ("layerhouse", "extract", "warehouse", "analysis", "sql")
GENERATED = ("__pycache__", "*.pyc")
CONSTRAINTS = ROOT / "constraints.txt"


def run(*words: str | Path, cwd: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """A command that knows nothing of this repository."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(word) for word in words]
    return subprocess.run(
        command, cwd=cwd, env=clean, input=given, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: what an earlier build left in the repository would get into this one."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns(*GENERATED))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation")
    built = run(*pip, "--wheel-dir", out, source, cwd=source)
    assert built.returncode == 0, built.stderr
    (found,) = out.glob("layerhouse-*.whl")
    return found


def test_the_wheel_holds_every_file_of_the_packages_and_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = archive.namelist()
        (licence,) = (name for name in packed if name.endswith("dist-info/licenses/LICENSE"))
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    expected = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in packed if ".dist-info/" not in name} == expected
    assert {f"{name}/py.typed" for name in PACKAGES if name != "sql"} <= expected


def installed(wheel: Path, extras: str, folder: Path) -> Path:
    """The folder of commands of a fresh environment with the wheel and some of its extras."""
    made = run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    assert made.returncode == 0, made.stderr
    pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet")
    done = run(*pip, "--constraint", CONSTRAINTS, f"{wheel}{extras}", cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.mark.slow
def test_the_bare_installation_reads_a_lake_and_names_the_extra_for_more(
    wheel: Path, whole_demo: Demo, tmp_path: Path
) -> None:
    layerhouse = installed(wheel, "", tmp_path / "light") / "layerhouse"
    lake = ("--lake", whole_demo.lake.root)
    query = "SELECT count(*) AS n FROM failure_mode"
    asked = run(layerhouse, "sql", query, *lake, cwd=tmp_path)
    assert asked.stdout == "n\n20\n", asked.stderr
    typed = run(layerhouse, "shell", *lake, cwd=tmp_path, given=f"{query};\n")
    assert typed.stdout == asked.stdout, typed.stderr
    assert "tiny-digits" in run(layerhouse, "status", *lake, cwd=tmp_path).stdout
    published = run(layerhouse, "publish", "--out", "published", *lake, cwd=tmp_path)
    assert published.returncode == 0, published.stderr
    assert (tmp_path / "published" / "mart_leaderboard.parquet").is_file()
    refused = run(
        layerhouse, "extract", "--model", "tiny-digits", "--dataset", "digits", cwd=tmp_path
    )
    assert refused.returncode == 1
    assert refused.stderr.endswith("install it with: pip install 'layerhouse[extract]'\n")
    script = (
        "import layerhouse\n"
        f"wh = layerhouse.connect({str(whole_demo.lake.root)!r})\n"
        "asked = dict(model='tiny-digits', dataset='digits', module='llm', layer=3)\n"
        "print(wh.activations(readout='last', **asked)[0].shape, wh.sql('FROM model').pl().height)"
    )
    read = run(layerhouse.with_name("python"), "-c", script, cwd=tmp_path)
    assert read.stdout == "(1797, 64) 5\n", read.stderr


@pytest.mark.slow
def test_the_whole_installation_runs_the_demo_and_validates_its_lake(
    wheel: Path, tmp_path: Path
) -> None:
    layerhouse = installed(wheel, "[all]", tmp_path / "whole") / "layerhouse"
    told = run(layerhouse, "demo", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "report.html").is_file()
    query = "SELECT DISTINCT verdict FROM failure_mode WHERE model_id = 'tiny-digits'"
    assert run(layerhouse, "sql", query, cwd=tmp_path).stdout == "verdict\nhealthy\n"
    checked = run(layerhouse, "validate", "--data-docs", "docs", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert (tmp_path / "docs" / "index.html").is_file()
