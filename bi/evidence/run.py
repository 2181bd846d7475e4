"""Proof that an Evidence site of the shipped pages shows the lake's own numbers, and the site.

Publishes the marts, builds the site from `pages` and `bi/marts` with Evidence's own commands, holds
the rows that it was built from, and those that its first page shows, against what `layerhouse sql`
answers on the lake, and takes a screenshot in headless Chromium. Exits with 1 on any difference.

`make bi-evidence LAKE=…` runs it.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb

from bi import browser, lake

HERE = Path(__file__).parent
SITE = ("package.json", "offline.mjs", "evidence.config.yaml")
SHOWN = ("answer_accuracy", "vision_accuracy", "connector_accuracy", "llm_accuracy", "total_loss")
"""Columns of the first page's table, in its order, behind those of words."""

WORDS, ROWS = 3, 20
"""Columns of words, and the rows that its first page has."""

CELLS = "table td"


def main() -> int:
    options = _options()
    source = lake.Lake(options.layerhouse, options.lake)
    with tempfile.TemporaryDirectory(prefix="layerhouse-evidence-") as folder:
        marts = Path(folder) / "marts.duckdb"
        source.publish(marts)
        site = build(marts, options.work)
    expected = {name: source.ask(name) for name in lake.queries()}
    equal = [lake.compare(name, rows(site, name), wanted) for name, wanted in expected.items()]
    with served(site) as url, browser.chromium() as page:
        page.get(url)
        browser.until(page, lambda page: browser.find(page, CELLS))
        browser.shoot(page, "main", ".loading-bar", options.out)
        equal.append(lake.compare("leaderboard, shown", *_shown(page, expected["leaderboard"])))
        print(f"screenshot {options.out}")
        print(f"site {site}")
        if options.stay:
            input(f"{url}; Enter stops the server. ")
    return 0 if all(equal) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Build an Evidence site of the marts, check it.")
    parser.add_argument("--lake", default="lakehouse", help="the lake's folder")
    parser.add_argument("--layerhouse", default="layerhouse", help="the command to run")
    parser.add_argument("--out", type=Path, default=Path("evidence.png"), help="the screenshot")
    parser.add_argument("--work", type=Path, default=Path(".evidence-site"), help="where to build")
    parser.add_argument("--stay", action="store_true", help="keep the site up until Enter")
    return parser.parse_args()


def build(marts: Path, work: Path) -> Path:
    """The folder of the finished site; `work` keeps what npm installed for the next time."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("an Evidence site is built with npm, which comes with Node.js 18 or later")
    work.mkdir(parents=True, exist_ok=True)
    for name in ("pages", "sources", "build", ".evidence"):
        shutil.rmtree(work / name, ignore_errors=True)
    for name in SITE:
        shutil.copy(HERE / name, work / name)
    shutil.copytree(HERE / "pages", work / "pages")
    shutil.copytree(lake.QUERIES, work / "sources" / "marts")
    for path in (HERE / "connection.yaml", marts):
        shutil.copy(path, work / "sources" / "marts")
    environment = {**os.environ, "SEND_ANONYMOUS_USAGE_STATS": "no"}
    for command in (("install", "--no-audit", "--no-fund"), ("run", "sources"), ("run", "build")):
        subprocess.run(
            (npm, *command), cwd=work, env=environment, stdin=subprocess.DEVNULL, check=True
        )
    return work / "build"


def rows(site: Path, name: str) -> list[lake.Row]:
    """What a source was built to: the file that every reader's browser is given."""
    files = sorted(str(path) for path in site.glob(f"data/marts/{name}/*/*.parquet"))
    found = duckdb.connect().execute("SELECT * FROM read_parquet($1)", [files])
    names = [each[0] for each in found.description]
    return [dict(zip(names, values, strict=True)) for values in found.fetchall()]


def _shown(
    page: browser.WebDriver, expected: list[lake.Row]
) -> tuple[list[lake.Row], list[lake.Row]]:
    """The rows of the first page's table as a person reads them, and as they should be read."""
    ordered = sorted(expected, key=lambda row: (row["dataset_id"], row["leaderboard_rank"]))[:ROWS]
    names = ("model_id", "dataset_id", "verdict", *SHOWN)
    cells = [text.strip() for text in browser.find(page, CELLS)]
    width = WORDS + len(SHOWN) + 1
    shown = [
        dict(zip(names, cells[first : first + len(names)], strict=True))
        for first in range(0, len(ordered) * width, width)
    ]
    wanted = [{name: _as_shown(row[name]) for name in names} for row in ordered]
    return shown, wanted


def _as_shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The address of a server on loopback that gives out a folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    sys.exit(main())
