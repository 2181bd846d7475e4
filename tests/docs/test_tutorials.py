"""The tutorials are green where their commands are typed in order, and nothing else is."""

from __future__ import annotations

import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.tutorials import NAMES, blocks, environment_of, type_in


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment's programs; it sees what is installed here, and has a pip of its own."""
    place = tmp_path_factory.mktemp("fresh") / "env"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    for bundled in packages.glob("setuptools*"):  # older than the one that is installed here
        shutil.rmtree(bundled)
    here = [path for path in sys.path if path.endswith("site-packages")]
    lines = [f"import site; site.addsitedir({path!r})" for path in [*here, *site.getsitepackages()]]
    (packages / "here.pth").write_text("\n".join(dict.fromkeys(lines)), encoding="utf-8")
    programs = place / "bin"
    script = f"#!{programs}/python\nimport sys\nfrom layerhouse.cli import main\nsys.exit(main())\n"
    (programs / "layerhouse").write_text(script, encoding="utf-8")
    (programs / "layerhouse").chmod(0o755)
    return programs


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_what_a_tutorial_says_runs_from_an_empty_folder(
    name: str, fresh: Path, tmp_path: Path
) -> None:
    said = "".join(type_in(name, tmp_path, environment_of(fresh, tmp_path)))
    expected = {
        "research": [
            "Verdict: healthy",
            "Verdict: connector_fidelity",
            "are caused in the connector",
        ],
        "analysis": ["connector_fidelity", "checks passed"],
        "engineering": ["edges", "3 passed", "did you mean tiny-digits"],
    }
    for words in expected[name]:
        assert words in said


def test_every_block_is_of_a_kind_that_is_run_saved_or_shown() -> None:
    for name in NAMES:
        found = blocks(name)
        assert {block.kind for block in found} <= {"sh", "python", "toml", "console"}
        assert all(block.saved for block in found if block.kind == "toml")
        text = "".join(block.text for block in found if block.kind == "sh")
        assert text.count("layerhouse ") >= 5
