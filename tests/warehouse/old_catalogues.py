"""Lakes whose catalogue was built with fewer migrations than there are now, kept as small archives.

    python -m tests.warehouse.old_catalogues

writes one for every migration that has none yet: run it when a migration is added, while the newest
schema is still that one, and commit the archive with it (a test asks for it). Those that exist are
never written again; a forgotten one is built in a clone at the commit where its migration was the
newest.
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
from pathlib import Path

import duckdb

from tests.warehouse.small_lakes import small_lake
from warehouse.catalogue.filling import fill
from warehouse.lake.commits import read_commit
from warehouse.lake.lake import Lake
from warehouse.lake.standing import commit_names
from warehouse.schema import Migration, apply, migrations

ARCHIVES = Path(__file__).parent / "catalogues"

# What a Layerhouse of that time had besides tables; none of it must survive an upgrade.
OLD_VIEWS = """
CREATE MACRO old_macro(x) AS x + 1;
CREATE VIEW old_view AS SELECT count(*) AS n FROM sample;
CREATE TABLE mart_old AS FROM old_view;
"""


def archive(migration: str) -> Path:
    return ARCHIVES / f"{migration}.tar.xz"


def unpack(migration: str, folder: Path) -> Lake:
    """The kept lake, whose catalogue ends with that migration."""
    with tarfile.open(archive(migration)) as packed:
        packed.extractall(folder, filter="data")
    return Lake.at(folder / "lake")


def kept() -> list[str]:
    """The migrations that have an archive, oldest first."""
    return sorted(path.name.removesuffix(".tar.xz") for path in ARCHIVES.glob("*.tar.xz"))


def write(known: list[Migration]) -> None:
    """Archive a small lake with a catalogue of just these migrations."""
    with tempfile.TemporaryDirectory() as folder:
        lake = small_lake(Path(folder) / "lake")
        commits = [read_commit(lake, name) for name in commit_names(lake)]
        lake.catalogue.unlink(missing_ok=True)
        with duckdb.connect(lake.catalogue, config={"default_block_size": 16384}) as con:
            apply(con, known)
            fill(con, lake, commits)
            con.execute(OLD_VIEWS)
            con.execute("INSERT INTO catalogue_build VALUES ('old', version(), now()::TIMESTAMP)")
        ARCHIVES.mkdir(exist_ok=True)
        with tarfile.open(archive(known[-1].name), "w:xz") as packed:
            packed.add(lake.root, "lake")


def main() -> None:
    known = migrations()
    # The first migration is the catalogue's own bookkeeping; it never stood alone.
    for number, migration in enumerate(known[1:], start=2):
        if not archive(migration.name).exists():
            write(known[:number])
            sys.stdout.write(f"{archive(migration.name).name}\n")


if __name__ == "__main__":
    main()
