"""What a run leaves in the lake, whatever happens to it."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from tests.warehouse.small_lakes import (
    DATASET,
    MODEL,
    activation_rows,
    add_dataset,
    answer_row,
    dataset_rows,
    extract_spec,
    files,
    rows,
    small_lake,
)
from warehouse.errors import LayerhouseError
from warehouse.files import checksum
from warehouse.lake import commits, history, runs
from warehouse.lake.commits import Commit
from warehouse.lake.history import config_difference, find_runs
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.standing import list_commits


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.at(tmp_path / "lake")


def test_equal_specs_are_one_run_and_any_change_is_another() -> None:
    spec = RunSpec("extract", MODEL, DATASET, {"a": 1, "b": [2]}, device="cpu")
    assert spec.run_id == RunSpec("extract", MODEL, DATASET, {"b": [2], "a": 1}, "cuda").run_id
    others = [
        RunSpec("probe", MODEL, DATASET, {"a": 1, "b": [2]}),
        RunSpec("extract", "tiny", DATASET, {"a": 1, "b": [2]}),
        RunSpec("extract", MODEL, None, {"a": 1, "b": [2]}),
        RunSpec("extract", MODEL, DATASET, {"a": 1, "b": [3]}),
    ]
    assert len({spec.run_id, *(other.run_id for other in others)}) == 5


def test_a_shard_holds_one_partition_and_a_row_group_one_locus_and_readout(lake: Lake) -> None:
    unordered = activation_rows([f"s{i}" for i in range(3)])[::-1]
    with RunWriter(lake, extract_spec()) as writer:
        commit = writer.commit({"activation": unordered})
    vision, llm = sorted(
        (shard for shard in commit.shards if shard.table == "activation"),
        key=lambda shard: -shard.rows,
    )
    folder = "activation/model=tiny%2Bfault%3Aswap%40vision%3A0.5%2Cseed%3D1/dataset=digits"
    assert vision.path == f"{folder}/module=vision/part-{writer.run_id}-0.parquet"
    assert llm.path == f"{folder}/module=llm/part-{writer.run_id}-0.parquet"
    file = pq.ParquetFile(lake.root / vision.path)
    groups = [
        file.read_row_group(i, ["layer", "readout", "sample_id"])
        for i in range(file.num_row_groups)
    ]
    assert [group.to_pydict() for group in groups] == [
        {"layer": [layer] * 3, "readout": [readout] * 3, "sample_id": ["s0", "s1", "s2"]}
        for layer in (0, 1)
        for readout in ("grid", "mean")
    ]


def test_vectors_are_stored_without_dictionary_or_statistics(lake: Lake) -> None:
    with RunWriter(lake, extract_spec()) as writer:
        commit = writer.commit({"activation": activation_rows(["s0", "s1"])})
    group = pq.ParquetFile(lake.root / commit.shards[0].path).metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    vector = columns.pop("vector.list.element")
    assert "BYTE_STREAM_SPLIT" in vector.encodings
    assert vector.statistics is None
    assert vector.compression == "ZSTD"
    assert columns["layer"].statistics.has_min_max


def test_a_row_group_never_holds_more_than_256_vectors(lake: Lake) -> None:
    many = activation_rows([f"s{i}" for i in range(600)], loci=(("vision", 0),), readouts=("mean",))
    with RunWriter(lake, extract_spec()) as writer:
        commit = writer.commit({"activation": many})
    metadata = pq.ParquetFile(lake.root / commit.shards[0].path).metadata
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sizes == [256, 256, 88]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_vectors_come_back_bit_for_bit(lake: Lake, dtype: Any) -> None:
    X = np.random.default_rng(0).normal(size=(5, 7)).astype(dtype)
    table = pa.table(
        {
            "model_id": [MODEL] * 5,
            "dataset_id": [DATASET] * 5,
            "module": ["vision"] * 5,
            "layer": [0] * 5,
            "readout": ["mean"] * 5,
            "sample_id": [f"s{i}" for i in range(5)],
            "vector": list(X.astype(np.float32)),
        }
    )
    with RunWriter(lake, extract_spec()) as writer:
        writer.commit({"activation": table})
    vectors = [row[6] for row in rows(lake, "activation")]
    np.testing.assert_array_equal(np.array(vectors, dtype=dtype), X)


def test_the_commit_record_states_what_lies_on_the_disk(lake: Lake) -> None:
    with RunWriter(lake, extract_spec(dtype="float32")) as writer:
        written = writer.commit(
            {"answer": [answer_row("s0")]}, covers={"rejected": [0, 1], "reasons": ["", ""]}
        )
    (commit,) = list_commits(lake)
    assert commit.commit_id == written.commit_id == f"{writer.run_id}-0"
    assert commit.covers == {"rejected": [0, 1], "reasons": ["", ""]}
    assert commit.run["config"] == {"dtype": "float32"}
    assert [shard.table for shard in commit.shards] == ["answer", "run"]
    for shard in commit.shards:
        path = lake.root / shard.path
        assert (shard.bytes, shard.checksum) == (path.stat().st_size, checksum(path))
        assert shard.rows == pq.ParquetFile(path).metadata.num_rows


def test_a_finished_run_is_finished_once(lake: Lake) -> None:
    with RunWriter(lake, extract_spec()) as writer:
        assert not writer.is_finished
        writer.commit({"answer": [answer_row("s0")]})
        writer.finish()
        writer.finish()
        assert writer.is_finished
        assert [commit.n for commit in writer.committed] == [0, 1]
    with RunWriter(lake, extract_spec()) as again:
        assert again.is_finished
        again.finish()
    (run,) = rows(lake, "run")
    assert run[6] == "finished"
    assert run[4] <= run[5]


def test_a_finished_run_takes_no_more_rows(lake: Lake) -> None:
    with RunWriter(lake, extract_spec()) as writer:
        writer.finish()
        before = files(lake)
        with pytest.raises(LayerhouseError, match="was finished by another process"):
            writer.commit({"answer": [answer_row("s0")]})
    assert files(lake) == before


def test_work_that_is_already_covered_is_not_written_again(lake: Lake) -> None:
    with RunWriter(lake, extract_spec()) as one, RunWriter(lake, extract_spec()) as other:
        first = one.commit(
            {"answer": [answer_row("s0")]}, covers={"rejected": (0, 1), "reasons": ["", ""]}
        )
        second = other.commit(
            {"answer": [answer_row("s0")]}, covers={"rejected": (0, 1), "reasons": ["", ""]}
        )
    assert second.commit_id == first.commit_id
    assert len(rows(lake, "answer")) == 1
    assert not files(lake, "*.tmp")


def test_an_interrupted_run_keeps_what_it_committed_and_goes_on(lake: Lake) -> None:
    def interrupted() -> None:
        with RunWriter(lake, extract_spec()) as writer:
            writer.commit({"answer": [answer_row("s0")]}, covers={"loci": [str(0)]})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert rows(lake, "run")[0][6] == "running"
    with RunWriter(lake, extract_spec()) as writer:
        assert [commit.covers for commit in writer.committed] == [{"loci": ["0"]}]
        writer.commit({"answer": [answer_row("s1")]}, covers={"loci": [str(1)]})
        writer.finish()
    assert [row[2] for row in rows(lake, "answer")] == ["s0", "s1"]
    assert rows(lake, "run")[0][6] == "finished"


BAD_ROWS: list[tuple[str, Any, str]] = [
    ("answer", [{"model_id": MODEL}], "missing dataset_id, sample_id"),
    ("answer", [answer_row("s0") | {"colour": 1}], "unexpected colour"),
    ("answer", [answer_row("s0") | {"parsed": None}], "lack a value for parsed"),
    ("answer", [answer_row("s0") | {"predicted_class_index": "one"}], "do not fit its schema"),
    ("answer", [answer_row("s0"), {"model_id": MODEL}], "differ in their columns"),
    ("answers", [answer_row("s0")], "no table 'answers'; did you mean answer"),
    ("sample", pa.table({"dataset_id": [DATASET]}), "missing sample_id"),
]


@pytest.mark.parametrize(("table", "given_rows", "message"), BAD_ROWS)
def test_rows_that_do_not_fit_are_refused_before_anything_is_written(
    lake: Lake, table: str, given_rows: Any, message: str
) -> None:
    with RunWriter(lake, extract_spec()) as writer, pytest.raises(LayerhouseError, match=message):
        writer.commit({table: given_rows})
    assert files(lake) == set()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_vectors_that_are_not_finite_are_refused_by_locus_and_sample(
    lake: Lake, value: float
) -> None:
    bad = activation_rows(["s0", "s1", "s2"])
    bad[-1]["vector"] = [0.0, value]
    message = "at llm layer 0, readout grid, sample s2 holds NaN or Inf"
    with RunWriter(lake, extract_spec()) as writer, pytest.raises(LayerhouseError, match=message):
        writer.commit({"activation": bad})
    assert files(lake) == set()


@pytest.mark.parametrize(
    "step", [n if n % 4 == 0 else pytest.param(n, marks=pytest.mark.slow) for n in range(13)]
)
def test_a_full_disk_leaves_nothing_behind(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    add_dataset(lake)
    before = files(lake)
    real, calls = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > step:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with RunWriter(lake, extract_spec()) as writer:
        with pytest.raises(LayerhouseError, match="No space left on device"):
            writer.commit({"activation": activation_rows(["s0"])})
        monkeypatch.undo()
        assert files(lake) == before
        writer.commit({"activation": activation_rows(["s0"])})
    assert len(rows(lake, "activation")) == 6


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_disk_that_is_really_full_leaves_nothing_behind(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no mounts")
    try:
        lake = Lake.at(disk / "lake")
        big = activation_rows(["s0"], loci=(("vision", 0),), readouts=("mean",))
        big[0]["vector"] = np.random.default_rng(0).normal(size=400_000).tolist()
        with RunWriter(lake, extract_spec()) as writer:
            writer.commit({"answer": [answer_row("s0")]})
            before = files(lake)
            with pytest.raises(LayerhouseError, match="No space left on device"):
                writer.commit({"activation": big})
            assert files(lake) == before
            writer.commit({"answer": [answer_row("s1")]})
        assert len(list_commits(lake)) == 2
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _write_forever(root: Path, model_id: str) -> None:
    add = [f"s{i}" for i in range(20)]
    with RunWriter(Lake.at(root), extract_spec(model_id)) as writer:
        for n in range(len(writer.committed), 10_000):
            writer.commit(
                {"activation": activation_rows(add, model_id=model_id)}, covers={"loci": [str(n)]}
            )


@pytest.mark.parametrize("seconds", [0.1, 0.25])
def test_a_killed_writer_leaves_whole_commits_only(lake: Lake, seconds: float) -> None:
    add_dataset(lake)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_write_forever, args=(lake.root, MODEL))
    process.start()
    process.join(seconds)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    commits = [commit for commit in list_commits(lake) if commit.model_id]
    assert len(rows(lake, "activation")) == 120 * len(commits)
    with RunWriter(lake, extract_spec()) as writer:
        writer.commit({"answer": [answer_row("s0")]}, covers={"loci": [str(-1)]})
    assert [commit.n for commit in writer.committed] == list(range(len(commits) + 1))
    assert len(rows(lake, "answer")) == 1


def test_writers_of_one_run_may_work_at_the_same_time(lake: Lake) -> None:
    def work(part: range) -> None:
        with RunWriter(lake, extract_spec()) as writer:
            for i in part:
                writer.commit({"answer": [answer_row(f"s{i}")]}, covers={"loci": [str(i)]})

    # Two of the four do the same work.
    parts = [range(0, 6), range(6, 12), range(12, 18), range(0, 6)]
    threads = [threading.Thread(target=work, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row[2] for row in rows(lake, "answer")) == sorted(f"s{i}" for i in range(18))
    assert [commit.n for commit in RunWriter(lake, extract_spec()).committed] == list(range(18))


@settings(max_examples=8, deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40))
def test_any_name_survives_the_way_through_a_folder(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    lake = Lake.at(tmp_path_factory.mktemp("names") / "lake")
    with RunWriter(lake, extract_spec(text)) as writer:
        writer.commit(
            {
                "activation": activation_rows(["s0"], model_id=text),
                "answer": [answer_row("s0", model_id=text)],
            }
        )
    assert {row[0] for row in rows(lake, "activation")} == {text}
    assert {row[0] for row in rows(lake, "answer")} == {text}


def test_runs_are_found_without_a_catalogue(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake")
    RunWriter(lake, extract_spec("other", dtype="float16")).commit(
        {"answer": [answer_row("s0", model_id="other")]}
    )
    assert not lake.catalogue.exists()
    assert [run["status"] for run in find_runs(lake, "extract")] == ["finished", "running"]
    (run,) = find_runs(lake, "extract", "other", DATASET)
    assert (run["model_id"], run["config"]) == ("other", {"dtype": "float16"})
    assert find_runs(lake, "probe") == []
    assert find_runs(Lake.at(tmp_path / "nowhere")) == []


def test_the_difference_of_two_configurations_is_one_clause_per_entry() -> None:
    old = {"identity": {"dtype": "float32", "faults": []}, "selection": {"limit": 10}}
    new = {"identity": {"dtype": "float16", "faults": []}, "selection": {"limit": 10, "x": 1}}
    assert config_difference(old, new) == (
        'identity.dtype: "float32" → "float16"; selection.x: not set → 1'
    )
    assert config_difference(old, json.loads(json.dumps(old))) == ""


def test_a_damaged_commit_record_is_named(lake: Lake) -> None:
    with RunWriter(lake, extract_spec()) as writer:
        commit: Commit = writer.commit(dataset_rows())
    path = lake.commits_dir / f"{commit.commit_id}.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(LayerhouseError, match=f"{commit.commit_id}.json is damaged"):
        list_commits(lake)


def test_a_commit_record_cannot_point_out_of_the_lake(lake: Lake) -> None:
    with RunWriter(lake, extract_spec()) as writer:
        commit = writer.commit(dataset_rows())
    path = lake.commits_dir / f"{commit.commit_id}.json"
    path.write_text(path.read_text().replace('"sample/', '"../sample/'))
    with pytest.raises(LayerhouseError, match="is damaged"):
        list_commits(lake)


def test_a_writer_follows_its_run_whoever_adds_to_it(lake: Lake) -> None:
    """What it remembers of its run is what reading all of it anew says."""
    one, other = RunWriter(lake, extract_spec()), RunWriter(lake, extract_spec())
    for index in range(6):
        writer = (one, other)[index % 3 == 1]
        notes = {"seconds": {"model": 0.1}, "n_images": 1}
        made = writer.commit(
            {"answer": [answer_row(f"s{index}")]}, covers={"start": index}, notes=notes
        )
        assert made.n == index
    assert one.commit({"answer": [answer_row("s1")]}, covers={"start": 1}).n == 1
    one.finish()
    *before, last = list_commits(lake)
    assert (last.row["n_images"], last.row["seconds"]) == (6, {"model": 0.6})
    assert last.row["n_bytes"] == sum(shard.bytes for c in before for shard in c.shards)


def test_a_writer_sees_that_its_last_commit_was_replaced(lake: Lake) -> None:
    """A repair took it out, and another writer's got its number."""
    writer, other = RunWriter(lake, extract_spec()), RunWriter(lake, extract_spec())
    writer.commit({"answer": [answer_row("s0")]}, covers={"start": 0})
    made = writer.commit({"answer": [answer_row("s1")]}, covers={"start": 1})
    (lake.commits_dir / f"{made.commit_id}.json").unlink()
    assert other.commit({"answer": [answer_row("s2")]}, covers={"start": 2}).n == 1
    assert writer.commit({"answer": [answer_row("s1")]}, covers={"start": 1}).n == 2
    assert sorted(row[2] for row in rows(lake, "answer")) == ["s0", "s1", "s2"]


def test_a_commit_reads_no_record_that_it_read_before(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a long run's commits cost what a short one's do."""
    writer = RunWriter(lake, extract_spec())
    for index in range(20):
        writer.commit({"answer": [answer_row(f"s{index}")]}, covers={"start": index})
    looked: list[str] = []
    read = commits.read_commit

    def counted(lake: Lake, name: str) -> Commit:
        looked.append(name)
        return read(lake, name)

    for module in (commits, history, runs):
        monkeypatch.setattr(module, "read_commit", counted)
    writer.commit({"answer": [answer_row("s20")]}, covers={"start": 20})
    assert 1 <= len(looked) <= 4
