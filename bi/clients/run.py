"""Proof that clients of other languages read the lake's own numbers from what is published.

Publishes a folder, has each client print the rows that it reads of the DuckDB file and of Parquet
or CSV files, and holds them against what `layerhouse sql` answers on the lake. Exits with 1 on any
difference; a client whose language is not on this machine is told and left out.

`make bi-clients LAKE=…` runs it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bi import lake

HERE = Path(__file__).resolve().parent

Read = dict[str, dict[str, list[lake.Row]]]
"""Rows by the kind of file and the name of a statement or mart."""


def main() -> int:
    options = _options()
    source = lake.Lake(options.layerhouse, options.lake)
    with tempfile.TemporaryDirectory(prefix="layerhouse-clients-") as folder:
        published = Path(folder)
        source.publish(published)
        shutil.copytree(lake.QUERIES, published / "queries")
        found = {"Node.js": node(published, options.work), "R": r(published)}
    equal = [
        compare(f"{client}, {kind}", source, rows)
        for client, read in found.items()
        if read is not None
        for kind, rows in read.items()
    ]
    if not equal:
        print("neither Node.js nor R is on this machine", file=sys.stderr)
    return 0 if equal and all(equal) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Read the marts in Node.js and R, check them.")
    parser.add_argument("--lake", default="lakehouse", help="the lake's folder")
    parser.add_argument("--layerhouse", default="layerhouse", help="the command to run")
    parser.add_argument("--work", type=Path, default=Path(".bi-clients"), help="for npm's packages")
    return parser.parse_args()


def node(published: Path, work: Path) -> Read | None:
    """What Node.js reads; `work` keeps what npm installed for the next time."""
    npm = shutil.which("npm")
    if npm is None:
        print("Node.js: npm is not on this machine", file=sys.stderr)
        return None
    work.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "read.mjs"):
        shutil.copy(HERE / name, work / name)
    install = (npm, "install", "--no-audit", "--no-fund", "--silent")
    subprocess.run(install, cwd=work, check=True)
    return _read(published, "node", str((work / "read.mjs").absolute()))


def r(published: Path) -> Read | None:
    """What R reads with reticulate, which Debian has as r-cran-reticulate."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        print("R: Rscript is not on this machine", file=sys.stderr)
        return None
    return _read(published, rscript, str(HERE / "read.R"), sys.executable)


def _read(published: Path, program: str, script: str, *arguments: str) -> Read:
    command = (program, script, str(published), *arguments)
    # From there: reticulate looks for a project around it.
    done = subprocess.run(command, cwd=published, stdout=subprocess.PIPE, text=True, check=True)
    found: Read = json.loads(done.stdout)
    return found


def compare(title: str, source: lake.Lake, read: Mapping[str, list[lake.Row]]) -> bool:
    """Print whether all rows that a client read are the lake's."""
    equal = []
    for name, rows in sorted(read.items()):
        wanted = source.ask(name) if name in lake.queries() else source.mart(name)
        if wanted:
            typed = [_typed(row, wanted) for row in rows]
            equal.append(lake.compare(f"{title}: {name}", typed, wanted))
    return all(equal)


def _typed(row: lake.Row, wanted: list[lake.Row]) -> lake.Row:
    """The row with what is text alone, as in CSV, as the lake's own values of the column are."""
    return {name: _as(value, name, wanted) for name, value in row.items()}


def _as(value: Any, name: str, wanted: list[lake.Row]) -> Any:
    known = next((row[name] for row in wanted if row.get(name) is not None), None)
    if not isinstance(value, str) or known is None or isinstance(known, str):
        return value
    return value == "true" if isinstance(known, bool) else float(value)


if __name__ == "__main__":
    sys.exit(main())
