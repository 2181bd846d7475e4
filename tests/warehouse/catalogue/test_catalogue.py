"""The catalogue holds exactly what was committed, however it came about."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings, strategies as st

from tests.warehouse.small_lakes import (
    MODEL,
    UNSAID,
    activation_rows,
    add_dataset,
    add_extraction,
    answer_row,
    contents,
    extract_spec,
    files,
    rewrite,
    rows,
    small_lake,
    tampered,
)
from warehouse import schema
from warehouse.catalogue import construction, currency, refreshing
from warehouse.catalogue.reading import open_catalogue
from warehouse.catalogue.refreshing import connect, open_tables, refresh
from warehouse.errors import LayerhouseError, UsageError
from warehouse.files import copy_file
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.standing import list_commits
from warehouse.schema import SQL_ROOT, Migration, migrations


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = small_lake(tmp_path_factory.mktemp("sound") / "lake")
    refresh(lake)
    return lake


@pytest.fixture
def lake(sound: Lake, tmp_path: Path) -> Lake:
    """A copy of its own, with a catalogue that is up to date."""
    shutil.copytree(sound.root, tmp_path / "lake")
    return Lake.at(tmp_path / "lake")


def ask(lake: Lake, query: str) -> list[tuple[Any, ...]]:
    with connect(lake) as wh:
        return wh.sql(query).fetchall()


def test_what_was_committed_is_there_once(lake: Lake) -> None:
    assert ask(lake, "SELECT count(*), count(DISTINCT sample_id) FROM activation") == [(24, 4)]
    assert ask(lake, "SELECT DISTINCT model_id, dataset_id FROM activation") == [(MODEL, "digits")]
    assert ask(lake, "SELECT count(*), any_value(model_id) FROM answer") == [(4, MODEL)]
    assert ask(lake, "SELECT count(*) FROM sample") == [(4,)]
    assert ask(lake, "SELECT count(*), max(status), min(status) FROM run") == [
        (2, "finished", "finished")
    ]


def test_a_shard_without_a_commit_record_does_not_exist(lake: Lake) -> None:
    committed = contents(lake)
    for table in ("activation", "answer", "sample"):
        shard = next((lake.root / table).rglob("*.parquet"))
        shutil.copy(shard, shard.with_name("part-extract-0123456789ab-0.parquet"))
        shard.with_name("part-extract-0123456789ab-1.parquet").write_text("half a sh")
        shard.with_name("extract-0123456789ab.tmp").write_text("half a sh")
    (lake.commits_dir / "extract-0123456789ab-0.json.tmp").write_text('{"run_id": "extr')
    assert not refresh(lake)
    assert contents(lake) == committed
    refresh(lake, force=True)
    assert contents(lake) == committed


def test_nothing_new_means_nothing_to_do(lake: Lake) -> None:
    before = lake.catalogue.stat().st_mtime_ns
    assert not refresh(lake)
    assert lake.catalogue.stat().st_mtime_ns == before


def test_a_deleted_catalogue_comes_back_the_same(lake: Lake) -> None:
    before = contents(lake)
    lake.catalogue.unlink()
    assert contents(lake) == before


def test_adding_to_a_catalogue_equals_building_it_anew(lake: Lake) -> None:
    add_extraction(lake, "other")
    with RunWriter(lake, RunSpec("extract", "other", "digits", {"limit": 1})) as writer:
        writer.commit({"answer": [answer_row("s0", model_id="other") | {"method": "likelihood"}]})
        refresh(lake)
        writer.finish()
    added = contents(lake)
    assert refresh(lake, force=True)
    assert contents(lake) == added
    assert len(added["answer"]) == 9


def test_tables_go_ahead_and_views_follow_whoever_asks_for_them(lake: Lake) -> None:
    add_extraction(lake, "other")
    with open_tables(lake) as wh:
        assert wh.sql("SELECT count(*) FROM answer").fetchall() == [(8,)]
        assert wh.sql("SELECT count(*) FROM activation").fetchall() == [(48,)]
        with pytest.raises(ValueError, match="answer_accuracy is no table"):
            wh.sql("WITH one AS (FROM answer_accuracy) FROM one")
    assert _raw(lake, "SELECT DISTINCT model_id FROM answer_accuracy") == [(MODEL,)]
    add_extraction(lake, "third")
    open_tables(lake).close()
    assert len(ask(lake, "SELECT DISTINCT model_id FROM answer_accuracy")) == 3
    followed = contents(lake)
    assert refresh(lake, force=True)
    assert contents(lake) == followed


def test_tables_are_had_where_views_know_no_rows(lake: Lake) -> None:
    whole = contents(lake)
    lake.catalogue.unlink()
    with open_tables(lake) as wh:
        assert wh.sql("SELECT count(*) FROM activation").fetchall() == [(24,)]
    assert _raw(lake, "FROM answer_accuracy") == []
    assert contents(lake) == whole


@pytest.mark.slow
def test_tables_are_had_where_no_views_are(lake: Lake) -> None:
    with tampered(lake) as con:
        con.execute("UPDATE catalogue_build SET sql_hash = 'another'")
    add_extraction(lake, "other")
    with open_tables(lake) as wh:
        assert wh.sql("SELECT count(*) FROM activation").fetchall() == [(48,)]
    with open_catalogue(lake) as con, pytest.raises(duckdb.CatalogException):
        con.execute("FROM answer_accuracy")
    followed = contents(lake)
    refresh(lake, force=True)
    assert contents(lake) == followed


def test_the_newest_row_of_a_key_wins_either_way(lake: Lake) -> None:
    with RunWriter(lake, RunSpec("datasets", None, "digits", {"title": 2})) as writer:
        for title in ("Digits again", "Digits at last"):
            row = {"dataset_id": "digits", "title": title, "n_samples": 4, "n_classes": 2}
            writer.commit({"dataset": [row | UNSAID]})
    assert ask(lake, "SELECT title FROM dataset") == [("Digits at last",)]
    refresh(lake, force=True)
    assert ask(lake, "SELECT title FROM dataset") == [("Digits at last",)]


@pytest.mark.slow
def test_commits_that_arrive_out_of_order_do_not_win(lake: Lake) -> None:
    """As when a lake is completed with commits from another machine."""
    spec = RunSpec("datasets", None, "digits", {"title": 0})
    row = {"dataset_id": "digits", "title": "Old", "n_samples": 4, "n_classes": 2, **UNSAID}
    commit = RunWriter(lake, spec).commit({"dataset": [row]})
    record = lake.commits_dir / f"{commit.commit_id}.json"
    rewrite(record, committed_at="2001-01-01T00:00:00.000000")
    assert ask(lake, "SELECT title FROM dataset") == [("Digits",)]


def test_a_deleted_commit_is_gone(lake: Lake) -> None:
    second = list_commits(lake, command="extract")[1]
    (lake.commits_dir / f"{second.commit_id}.json").unlink()
    assert ask(lake, "SELECT count(*) FROM answer") == [(2,)]
    assert ask(lake, "SELECT count(*) FROM activation") == [(12,)]


def test_a_commit_that_was_deleted_and_done_again_replaces_the_old_one(lake: Lake) -> None:
    last = list_commits(lake, command="extract")[-1]
    (lake.commits_dir / f"{last.commit_id}.json").unlink()
    with RunWriter(lake, extract_spec()) as writer:
        again = writer.commit({"answer": [answer_row("s9")]})
    assert again.commit_id == last.commit_id
    assert ask(lake, "SELECT count(*) FROM answer WHERE sample_id = 's9'") == [(1,)]


@pytest.mark.parametrize("rebuilt", [False, True])
def test_a_moved_lake_keeps_working(lake: Lake, tmp_path: Path, rebuilt: bool) -> None:
    before = contents(lake)
    shutil.copytree(lake.root, tmp_path / "a copy, moved", copy_function=shutil.copy)
    shutil.rmtree(lake.root)
    moved = Lake.at(tmp_path / "a copy, moved")
    if rebuilt:
        moved.catalogue.unlink()
    assert refresh(moved) is rebuilt
    assert contents(moved) == before
    with connect(moved) as wh:
        X, _ = wh.activations(MODEL, "digits", "llm", 0, "mean")
    assert X.tolist() == [[0, 0], [0, 1], [0, 2], [0, 3]]


def test_the_catalogue_holds_no_path_of_this_machine(lake: Lake) -> None:
    assert str(lake.root).encode() not in lake.catalogue.read_bytes()


def test_a_lake_without_activations_has_an_empty_view_of_them(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path / "lake")
    add_dataset(lake)
    empty = ask(lake, "DESCRIBE activation")
    assert ask(lake, "SELECT * FROM activation") == []
    add_extraction(lake)
    assert ask(lake, "SELECT count(*) FROM activation") == [(24,)]
    assert [row[:2] for row in ask(lake, "DESCRIBE activation")] == [row[:2] for row in empty]
    comments = "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'activation'"
    added = contents(lake), ask(lake, comments)
    assert refresh(lake, force=True)
    assert (contents(lake), ask(lake, comments)) == added


def test_an_empty_folder_becomes_a_lake_of_empty_tables(tmp_path: Path) -> None:
    with connect(tmp_path) as wh:
        assert wh.sql("SELECT * FROM mart_leaderboard").fetchall() == []


def test_a_folder_of_other_things_is_no_lake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no lake at"):
        connect(tmp_path / "nowhere")
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="is not a lake"):
        connect(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    "content",
    [b"not a database", *(pytest.param(c, marks=pytest.mark.slow) for c in (b"", bytes(20_000)))],
)
def test_a_damaged_catalogue_is_built_anew(lake: Lake, content: bytes) -> None:
    before = contents(lake)
    lake.catalogue.write_bytes(content)
    assert refresh(lake)
    assert contents(lake) == before


@pytest.mark.slow
def test_a_catalogue_cut_short_is_built_anew(lake: Lake) -> None:
    before = contents(lake)
    lake.catalogue.write_bytes(lake.catalogue.read_bytes()[:100_000])
    add_extraction(lake, "other", samples=2)
    assert refresh(lake)
    assert contents(lake)["sample"] == before["sample"]


def test_a_missing_shard_is_named(lake: Lake) -> None:
    shard = next(s for s in list_commits(lake)[0].shards if s.table == "sample")
    (lake.root / shard.path).unlink()
    with pytest.raises(LayerhouseError, match=f"{shard.path} of commit .* missing or damaged"):
        refresh(lake, force=True)
    assert ask(lake, "SELECT count(*) FROM sample") == [(4,)]


def test_a_failed_build_leaves_the_old_catalogue(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lake.catalogue.read_bytes()
    monkeypatch.setattr(construction, "sync", _full_disk)
    with pytest.raises(LayerhouseError, match=r"cannot build the catalogue .* No space left"):
        refresh(lake, force=True)
    assert lake.catalogue.read_bytes() == before
    assert not files(lake, "*building*")


def _full_disk(_: Path) -> None:
    raise OSError(28, "No space left on device")


def test_a_stale_lake_that_cannot_be_written_says_so(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not refresh(lake)
    monkeypatch.setattr(refreshing, "file_lock", _read_only)
    assert ask(lake, "SELECT count(*) FROM sample") == [(4,)]
    with pytest.raises(LayerhouseError, match="out of date and cannot be rebuilt there"):
        refresh(lake, force=True)


def _read_only(_: Path) -> None:
    raise OSError(30, "Read-only file system")


def test_a_catalogue_that_someone_writes_to_says_so(lake: Lake) -> None:
    code = f"import duckdb, sys; c = duckdb.connect({str(lake.catalogue)!r}); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(LayerhouseError, match="is open for writing elsewhere"):
            connect(lake)
        other.communicate(b"\n")


# Migrations


def test_every_migration_is_recorded_with_its_hash(lake: Lake) -> None:
    recorded = ask(lake, "SELECT name, hash FROM schema_migration ORDER BY name")
    assert recorded == [(migration.name, migration.hash) for migration in migrations()]


def test_an_edited_migration_is_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *others = migrations()
    edited = [first, *(Migration(m.name, m.sql + "-- edited") for m in others)]
    for module in (construction, currency):
        monkeypatch.setattr(module, "migrations", lambda: edited)
    message = f"sql/schema/{others[0].name}.sql was edited .* add a new migration"
    with pytest.raises(LayerhouseError, match=message):
        connect(lake)
    lake.catalogue.unlink()
    assert refresh(lake)


def test_a_newer_catalogue_is_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(currency, "migrations", lambda: migrations()[:1])
    with pytest.raises(LayerhouseError, match=r"was built by a newer Layerhouse .* upgrade"):
        connect(lake)


def test_a_lake_with_newer_shards_is_refused(lake: Lake) -> None:
    commit = RunWriter(lake, extract_spec("other")).commit(
        {"answer": [answer_row("s0", model_id="other")]}
    )
    record = lake.commits_dir / f"{commit.commit_id}.json"
    rewrite(record, schema="0999_later")
    with pytest.raises(LayerhouseError, match=r"was written by a newer Layerhouse .*0999_later"):
        refresh(lake)
    assert "other" not in str(_raw(lake, "FROM answer"))


def _raw(lake: Lake, query: str) -> list[tuple[Any, ...]]:
    with open_catalogue(lake) as con:
        return con.execute(query).fetchall()


@pytest.fixture
def grown(monkeypatch: pytest.MonkeyPatch) -> list[Migration]:
    """The migrations of a next release: `answer` and `model` got a column."""
    later = Migration(
        f"{len(migrations()):04d}_later",
        "ALTER TABLE answer ADD COLUMN note VARCHAR; ALTER TABLE model ADD COLUMN note VARCHAR;",
    )
    both = [*migrations(), later]
    for module in (construction, currency, schema):
        monkeypatch.setattr(module, "migrations", lambda: both)
    monkeypatch.setattr("warehouse.catalogue.filling.migrations", lambda: both)
    return both


def test_a_new_migration_is_applied_and_older_shards_lack_its_columns(
    lake: Lake, grown: list[Migration]
) -> None:
    before = _raw(lake, "FROM answer")
    assert refresh(lake)
    assert sorted(_raw(lake, "FROM answer")) == sorted((*row, None) for row in before)
    added = contents(lake)
    refresh(lake, force=True)
    assert contents(lake) == added
    assert len(_raw(lake, "FROM schema_migration")) == len(grown)


def test_migrations_are_numbered_without_gaps(tmp_path: Path) -> None:
    shutil.copytree(SQL_ROOT / "schema", tmp_path / "schema")
    (tmp_path / "schema" / "0999_gap.sql").write_text("SELECT 1")
    wanted = rf"0999_gap\.sql must be named {len(migrations()):04d}_"
    with pytest.raises(LayerhouseError, match=wanted):
        migrations(tmp_path / "schema")


# Many at once


def _extract_many(root: Path, model_id: str) -> None:
    with RunWriter(Lake.at(root), extract_spec(model_id)) as writer:
        for i in range(4):
            sample = f"s{i}"
            writer.commit(
                {
                    "activation": activation_rows([sample], model_id=model_id),
                    "answer": [answer_row(sample, model_id=model_id)],
                },
                covers={"loci": [str(i)]},
            )
        writer.finish()


def _read_many(root: Path, failures: Any) -> None:
    for _ in range(4):
        with connect(root) as wh:
            rows = wh.sql(
                "SELECT model_id, count(DISTINCT a.sample_id), count(*) "
                "FROM activation AS a GROUP BY ALL"
            ).fetchall()
            answers = dict(wh.sql("SELECT model_id, count(*) FROM answer GROUP BY ALL").fetchall())
            if any(n != 6 * samples or answers[model] != samples for model, samples, n in rows):
                failures.put(rows)


@pytest.mark.slow
def test_agents_and_readers_run_at_once(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path / "lake")
    add_dataset(lake)
    context = multiprocessing.get_context("spawn")
    failures = context.Queue()
    models = ["a", "b"]
    workers = [context.Process(target=_extract_many, args=(lake.root, m)) for m in models]
    readers = [context.Process(target=_read_many, args=(lake.root, failures)) for _ in range(2)]
    for process in workers + readers:
        process.start()
    for process in workers + readers:
        process.join()
    assert [process.exitcode for process in workers + readers] == [0] * 4
    assert failures.empty()
    assert ask(lake, "SELECT model_id, count(*) FROM answer GROUP BY ALL ORDER BY ALL") == [
        ("a", 4),
        ("b", 4),
    ]


def _rebuild_forever(root: Path) -> None:
    while True:
        refresh(Lake.at(root), force=True)


@pytest.mark.slow
def test_a_killed_builder_leaves_the_old_catalogue(lake: Lake) -> None:
    before = contents(lake)
    process = multiprocessing.get_context("fork").Process(
        target=_rebuild_forever, args=(lake.root,)
    )
    process.start()
    process.join(0.3)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not refresh(lake)
    assert contents(lake) == before
    refresh(lake, force=True)
    assert not files(lake, "*building*")


Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["commit", "commit", "finish", "tear", "drop"]), st.integers(0, 2)),
    max_size=12,
)


@settings(max_examples=8, deadline=None)
@given(steps=STEPS)
def test_any_interleaving_of_runs_yields_exactly_the_committed_rows(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step]
) -> None:
    """Three runs commit, finish, are torn off before their commit record, or lose their last."""
    lake = Lake.at(tmp_path_factory.mktemp("steps") / "lake")
    expected: dict[int, list[str]] = {0: [], 1: [], 2: []}
    finished: set[int] = set()
    for serial, (what, run) in enumerate(steps):
        writer = RunWriter(lake, extract_spec(f"m{run}"))
        rows_of = {"answer": [answer_row(f"s{serial}", model_id=f"m{run}")]}
        if what == "finish":
            writer.finish()
            finished.add(run)
        elif what == "drop" and expected[run] and run not in finished:
            (lake.commits_dir / f"{writer.committed[-1].commit_id}.json").unlink()
            expected[run].pop()
        elif what in ("commit", "tear") and run not in finished:
            commit = writer.commit(rows_of)
            expected[run].append(f"s{serial}")
            if what == "tear":
                (lake.commits_dir / f"{commit.commit_id}.json").unlink()
                expected[run].pop()
    held = sorted((f"m{run}", sample) for run, samples in expected.items() for sample in samples)
    assert [(row[0], row[2]) for row in rows(lake, "answer")] == held
    statuses = {row[2]: row[6] for row in rows(lake, "run")}
    assert statuses == {
        f"m{run}": "finished" if run in finished else "running"
        for run in expected
        if expected[run] or run in finished
    }


@pytest.mark.slow
@settings(max_examples=3, deadline=None)
@given(cuts=st.lists(st.booleans(), min_size=4, max_size=4))
def test_refreshing_at_any_moment_ends_in_the_same_catalogue(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[bool]
) -> None:
    lake = Lake.at(tmp_path_factory.mktemp("cuts") / "lake")
    add_dataset(lake)
    with RunWriter(lake, extract_spec()) as writer:
        for i, cut in enumerate(cuts):
            writer.commit(
                {"activation": activation_rows([f"s{i}"]), "answer": [answer_row(f"s{i}")]}
            )
            if cut:
                refresh(lake)
        writer.finish()
    step_by_step = contents(lake)
    refresh(lake, force=True)
    assert contents(lake) == step_by_step


def test_the_file_carries_nothing_beside_it(lake: Lake) -> None:
    refresh(lake, force=True)
    beside = {path.name for path in lake.root.glob("catalog*")}
    assert beside == {"catalog.duckdb", "catalog.check", "catalog.lock"}


def test_readers_keep_what_they_opened(lake: Lake) -> None:
    with connect(lake) as wh:
        add_extraction(lake, "other")
        refresh(lake)
        assert wh.sql("SELECT count(*) FROM answer").fetchall() == [(4,)]
    assert ask(lake, "SELECT count(*) FROM answer") == [(8,)]


def test_a_plain_duckdb_client_in_the_lakes_folder_can_read_vectors(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way that sql/views/activation.sql describes."""
    monkeypatch.chdir(lake.root)
    with duckdb.connect("catalog.duckdb", read_only=True) as con:
        con.execute(
            "SET VARIABLE activation_shards = "
            "(SELECT list(path) FROM shard WHERE table_name = 'activation')"
        )
        assert con.execute("SELECT count(*) FROM activation").fetchall() == [(24,)]


@pytest.mark.parametrize("shares", [True, False])
def test_a_file_is_copied_whole_whatever_the_file_system_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, shares: bool
) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "one").write_bytes(content)
    (tmp_path / "other").write_bytes(content * 2)
    copy_range = os.copy_file_range

    def refused(read: int, write: int, count: int) -> int:
        copy_range(read, write, min(count, 1000))  # and then no more
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    if not shares:
        monkeypatch.setattr(os, "copy_file_range", refused)
    copy_file(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "other").read_bytes() == content
