"""The tutorials as a newcomer types them: their blocks in order, in an empty folder.

    python -m tests.docs.tutorials [research …]

does so from a clean environment, into which it installs this checkout with its pinned versions.
What of a page is done: `sh` is typed into bash, `python` into one Python that stays open until
something is installed, and a block under a line that ends with the name of a file and a colon is
saved as that file. `console` shows the installation, which is done already.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
NAMES = ("research", "analysis", "engineering")

BLOCK = re.compile(r"(?P<before>[^\n]*)\n\n?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
SAVED = re.compile(r"`([\w./-]+)`:$")
SESSION = """
import sys, traceback
names = {"__name__": "__main__"}
for length in sys.stdin:
    text = sys.stdin.read(int(length))
    try:
        exec(compile(text, "tutorial", "exec"), names)
    except BaseException:
        traceback.print_exc()
        sys.exit(1)
    print("\\n<done>", flush=True)
"""


@dataclass(frozen=True)
class Block:
    """One block of a page; `saved` is the file that it is saved as, if it is."""

    kind: str
    text: str
    saved: str | None


def blocks(name: str) -> list[Block]:
    page = (TUTORIALS / f"{name}.md").read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(page):
        saved = SAVED.search(match["before"])
        found.append(Block(match["kind"], match["text"], saved[1] if saved else None))
    return found


def type_in(name: str, folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Do a tutorial in the folder and give what each step printed; RuntimeError if one fails."""
    python = _opened(folder, environment)
    try:
        for block in blocks(name):
            if block.saved:
                (folder / block.saved).parent.mkdir(parents=True, exist_ok=True)
                (folder / block.saved).write_text(block.text, encoding="utf-8")
            elif block.kind == "sh":
                yield _shell(block.text, folder, environment)
                if "pip install" in block.text:
                    _closed(python)
                    python = _opened(folder, environment)
            elif block.kind == "python":
                yield _python(block.text, python)
    finally:
        _closed(python)


def _opened(folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["python", "-c", SESSION],
        cwd=folder,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _closed(python: subprocess.Popen[str]) -> None:
    assert python.stdin is not None
    python.stdin.close()
    python.wait(timeout=60)


def _shell(text: str, folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode} of\n{text}\n{done.stdout}")
    return done.stdout


def _python(text: str, python: subprocess.Popen[str]) -> str:
    assert python.stdin is not None
    assert python.stdout is not None
    python.stdin.write(f"{len(text)}\n{text}")
    python.stdin.flush()
    said = []
    for line in python.stdout:
        if line == "<done>\n":
            return "".join(said)
        said.append(line)
    raise RuntimeError(f"Python ended in\n{text}\n{''.join(said)}")


def environment_of(bin_folder: Path, home: Path) -> dict[str, str]:
    """What a newcomer's shell has: the environment's programs first, no settings, no network."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LAYERHOUSE_")}
    kept.pop("PYTHONPATH", None)
    return kept | {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def _copied(place: Path) -> Path:
    """This checkout's files elsewhere: what is built in it would meet what another process builds
    there at the same time."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, told.split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    return place


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
        pinned = ["--constraint", ROOT / "constraints.txt"]
        pip = [folder / "env" / "bin" / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *pinned, f"{_copied(folder / 'checkout')}[all,dev]"], check=True)
        for name in names or NAMES:
            (folder / name).mkdir()
            environment = environment_of(folder / "env" / "bin", folder)
            for said in type_in(name, folder / name, environment):
                sys.stdout.write(said)
            sys.stdout.write(f"{name}: green\n")


if __name__ == "__main__":
    main(sys.argv[1:])
