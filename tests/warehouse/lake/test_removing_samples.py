"""Samples that are removed are gone for every reader at once, and from the files once these are
freed; every other row stays."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.warehouse.lake.test_compacting import _killed_at
from tests.warehouse.lake.test_removing import _baseline, _probe, _write
from tests.warehouse.small_lakes import (
    DATASET,
    MODEL,
    activation_rows,
    add_dataset,
    answer_row,
    dataset_rows,
    extract_spec,
    files,
    resealed,
    rows,
    rows_of,
)
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import compacting, erasing, removing_samples
from warehouse.lake.compacting import compact
from warehouse.lake.freeing import free
from warehouse.lake.history import find_runs
from warehouse.lake.holding import still_held
from warehouse.lake.lake import Lake
from warehouse.lake.removing import remove
from warehouse.lake.removing_samples import SampleRemoval, remove_samples
from warehouse.lake.repairing import repair
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.samples import mark_of, removed_samples, sample_order
from warehouse.lake.standing import list_commits, list_records
from warehouse.vocabulary import GONE

TABLES = ("activation", "answer", "sample", "dataset", "image_donor", "rejected_sample", "probe")
N = 9
ORDER = sample_order(f"s{i}" for i in range(N))
OTHERS = "/list/given/other"


def _add(
    lake: Lake, start: int, stop: int, model_id: str = MODEL, donor: str | None = None
) -> None:
    """One range of a run: vectors and replies, and where a donor is named, replies about it too."""
    names = ORDER[start:stop]
    asked = ["generate", *([f"generate@p{OTHERS}"] if donor else [])]
    covers: dict[str, Any] = {"start": start, "stop": stop, "answers": asked}
    covers["cells"] = [["vision", 0, ["mean"]], ["llm", 1, ["mean"]]]
    covers["replies"] = {"max_new_tokens": 8, "cut": [start]}
    answers = [answer_row(name, model_id=model_id) for name in names]
    tables: dict[str, list[dict[str, Any]]] = {}
    if donor:
        about = {"prompt_id": "p", "option_order": "given", "image_control": "other"}
        answers = [
            {"prompt_id": "default", "option_order": "given", "image_control": "own", **row}
            for row in answers
        ]
        answers += [{**row, **about} for row in answers]
        covers["swept_replies"] = {asked[1]: {"max_new_tokens": 8, "cut": []}}
        of = {"dataset_id": DATASET, "image_control": "other"}
        tables["image_donor"] = [{**of, "sample_id": name, "donor_id": donor} for name in names]
    loci = (("vision", 0), ("llm", 1))
    vectors = activation_rows(names, model_id=model_id, loci=loci, readouts=("mean",))
    RunWriter(lake, extract_spec(model_id)).commit(
        {"activation": vectors, "answer": answers, **tables}, covers
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake.at(tmp_path_factory.mktemp("samples") / "lake")
    add_dataset(lake, N)
    for model in ("alpha", "beta"):
        for start in range(0, N, 3):
            _add(lake, start, start + 3, model, donor=ORDER[0] if start == 6 else None)
        RunWriter(lake, extract_spec(model)).finish()
    _write(lake, RunSpec("datasets-add", None, "other", {}), dataset_rows("other", N))
    return lake


@pytest.fixture
def lake(kept: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(kept.root, tmp_path / "lake")
    return Lake.at(tmp_path / "lake")


def _rows(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    return rows_of(lake, *TABLES)


def _without(before: dict[str, list[tuple[Any, ...]]], name: str) -> dict[str, list[Any]]:
    """The rows but those of a sample of DATASET, and what was asked about its image."""
    found: dict[str, list[Any]] = {
        table: [row for row in each if not (DATASET in row and name in row)]
        for table, each in before.items()
    }
    found["dataset"] = [
        tuple(N - 1 if row[0] == DATASET and at == 2 else value for at, value in enumerate(row))
        for row in before["dataset"]
    ]
    return found


GONE_ONE = ORDER[4]


def test_a_sample_is_gone_and_every_other_row_stays(lake: Lake) -> None:
    before = _rows(lake)
    removal = remove_samples(lake, DATASET, [GONE_ONE])
    assert (removal.samples, removal.dependents) == ((GONE_ONE,), ())
    assert len(removal.rewritten) == 3  # the dataset's own commit, and a range of each model
    assert _rows(lake) == _without(before, GONE_ONE)
    free(lake)
    assert _rows(lake) == _without(before, GONE_ONE)
    assert list(still_held(lake, removed_samples(lake))) == []
    records = [path.read_text() for path in lake.commits_dir.glob("*.json")]
    assert not any(f'"{GONE_ONE}"' in text for text in records)


def test_what_is_gone_is_gone_before_any_shard_is_written_anew(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where it was killed between the two; whoever frees does the rest."""
    before = _rows(lake)
    monkeypatch.setattr(removing_samples, "erase", lambda _: iter(()))
    remove_samples(lake, DATASET, [GONE_ONE])
    assert _rows(lake) == _without(before, GONE_ONE)
    with connect(lake) as wh:
        names, matrix = wh.vectors("alpha", DATASET, "llm", 1, "mean")
        assert GONE_ONE not in names
        assert len(names) == len(matrix) == N - 1
        query = "SELECT count(*) FROM activation WHERE sample_id = $1"
        assert wh.sql(query, [GONE_ONE]).fetchall() == [(0,)]
    assert {each.dataset_id for each in still_held(lake, removed_samples(lake))} == {DATASET}
    monkeypatch.undo()
    free(lake)
    assert list(still_held(lake, removed_samples(lake))) == []
    assert _rows(lake) == _without(before, GONE_ONE)


def test_answers_about_its_image_go_too_and_are_asked_for_again(lake: Lake) -> None:
    """The others' replies told what the removed image shows."""
    removed = ORDER[0]
    remove_samples(lake, DATASET, [removed])
    found = _rows(lake)
    assert found["image_donor"] == []
    assert len(found["answer"]) == 2 * (N - 1)
    covered = [c.covers for c in list_commits(lake, model_id="alpha") if "start" in c.covers]
    assert [c["answers"] for c in covered] == [["generate"]] * 3
    assert [c.get("rejected") for c in covered] == [[0], None, None]
    assert [c["replies"]["cut"] for c in covered] == [[], [3], [6]]
    assert covered[2]["swept_replies"] == {}


def test_a_group_is_all_of_its_samples(lake: Lake) -> None:
    removal = remove_samples(lake, DATASET, groups=["g3"])
    assert removal.samples == ("s3",)
    assert remove_samples(lake, DATASET, groups=["g3"]).samples == ()
    assert remove_samples(lake, DATASET, ["s3"]).run_id == removal.run_id


@pytest.mark.parametrize(
    ("samples", "groups", "said"),
    [
        (["s99"], [], f"{DATASET} has no sample 's99'"),
        ([""], [], f"{DATASET} has no sample ''"),
        ([], ["g99"], f"{DATASET} has no samples of the group 'g99'"),
        (["s1", "s1x"], [], f"{DATASET} has no sample 's1x'; did you mean s1"),
    ],
)
def test_a_name_that_is_none_changes_nothing(
    lake: Lake, samples: list[str], groups: list[str], said: str
) -> None:
    there = files(lake)
    with pytest.raises(UsageError, match=said.replace("?", ".")):
        remove_samples(lake, DATASET, samples, groups)
    assert files(lake) == there


def test_of_another_dataset_the_sample_of_that_name_stays(lake: Lake) -> None:
    remove_samples(lake, DATASET, ["s3"])
    assert len([row for row in rows(lake, "sample") if row[1] == "s3"]) == 1
    with pytest.raises(UsageError, match="the lake holds no dataset 'othr'; did you mean other"):
        remove_samples(lake, "othr", ["s3"])


def test_what_was_made_over_all_samples_goes_with_it_or_nothing_does(lake: Lake) -> None:
    _write(lake, RunSpec("probe", "alpha", DATASET, {}), {"probe": [_probe("alpha", DATASET)]})
    _write(lake, RunSpec("baseline", None, DATASET, {}), {"baseline": [_baseline()]})
    before = _rows(lake)
    with pytest.raises(LayerhouseError, match="2 runs were made over all samples of digits"):
        remove_samples(lake, DATASET, ["s3"])
    planned = remove_samples(lake, DATASET, ["s3"], dry_run=True)
    assert _rows(lake) == before
    done = remove_samples(lake, DATASET, ["s3"], with_dependents=True)
    assert [one.facts.command for one in done.dependents] == ["probe", "baseline"]
    assert [row["command"] for row in done.rows] == ["probe", "baseline"]
    assert planned.dependents == done.dependents
    assert _rows(lake)["probe"] == []
    assert {row[1].split("-")[0] for row in rows(lake, "removed_run")} == {"probe", "baseline"}


def test_two_patients_one_after_the_other(lake: Lake) -> None:
    before = _rows(lake)
    remove_samples(lake, DATASET, [ORDER[4]])
    remove_samples(lake, DATASET, [ORDER[3]])
    free(lake)
    assert list(still_held(lake, removed_samples(lake))) == []
    wanted = _without(_without(before, ORDER[4]), ORDER[3])
    assert {**_rows(lake), "dataset": []} == {**wanted, "dataset": []}
    assert {row[0]: row[2] for row in rows(lake, "dataset")} == {DATASET: N - 2, "other": N}
    assert removed_samples(lake) == {DATASET: {mark_of(ORDER[4]): 4, mark_of(ORDER[3]): 3}}
    left = [name for name in ORDER if name not in (ORDER[4], ORDER[3])]
    assert sample_order(left, [4, 3]) == [*ORDER[:3], GONE, GONE, *ORDER[5:]]


@pytest.mark.parametrize("first", [True, False])
def test_what_was_joined_before_or_is_afterwards_has_no_row_of_it(lake: Lake, first: bool) -> None:
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(compacting, "FEWEST", 2)
    before = _rows(lake)
    if first:
        assert list(compact(lake))
    remove_samples(lake, DATASET, [GONE_ONE])
    list(compact(lake))
    monkeypatch.undo()
    assert _rows(lake) == _without(before, GONE_ONE)
    free(lake)
    assert list(still_held(lake, removed_samples(lake))) == []
    assert _rows(lake) == _without(before, GONE_ONE)
    assert {run["status"] for run in find_runs(lake, "extract")} == {"finished"}


def test_compact_alone_leaves_out_what_was_removed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing_samples, "erase", lambda _: iter(()))
    monkeypatch.setattr(compacting, "FEWEST", 2)
    remove_samples(lake, DATASET, [GONE_ONE])
    list(compact(lake))
    shards = {s.path for one in list_records(lake) if one.joins for s in one.shards}
    assert shards
    assert shards.isdisjoint(each.path for each in still_held(lake, removed_samples(lake)))


def test_a_compaction_that_did_not_know_of_the_removal_is_not_made(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compacting, "FEWEST", 2)
    entered = compacting._entered

    def after(*given: Any) -> Any:
        monkeypatch.setattr(compacting, "_entered", entered)
        remove_samples(lake, DATASET, [GONE_ONE])
        return entered(*given)

    monkeypatch.setattr(compacting, "_entered", after)
    assert next(compact(lake)).joined is None
    free(lake)
    assert list(still_held(lake, removed_samples(lake))) == []


def test_an_agent_that_was_at_work_adds_nothing_more(lake: Lake) -> None:
    writer = RunWriter(lake, extract_spec("gamma"))
    other = RunWriter(lake, RunSpec("extract", "gamma", "other", {}))
    remove_samples(lake, DATASET, [GONE_ONE])
    with pytest.raises(LayerhouseError, match=r"samples of digits were removed .* meanwhile"):
        writer.commit({"answer": [answer_row(GONE_ONE, model_id="gamma")]}, {})
    other.commit({"answer": [answer_row("s1", model_id="gamma", dataset_id="other")]}, {})


def test_a_range_that_is_added_meanwhile_is_looked_at_too(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = removing_samples._commit

    def after(*given: Any) -> str:
        monkeypatch.setattr(removing_samples, "_commit", commit)
        _add(lake, 3, 6, "gamma")
        return commit(*given)

    monkeypatch.setattr(removing_samples, "_commit", after)
    remove_samples(lake, DATASET, [GONE_ONE])
    free(lake)
    assert list(still_held(lake, removed_samples(lake))) == []
    assert GONE_ONE not in {row[2] for row in rows(lake, "answer")}


def test_a_record_that_comes_back_from_a_copy_shows_nothing_of_it(lake: Lake, kept: Lake) -> None:
    before = _rows(lake)
    remove_samples(lake, DATASET, [GONE_ONE])
    free(lake)
    for path in files(kept):
        if not (lake.root / path).exists():
            shutil.copy(kept.root / path, lake.root / path)
    assert _rows(lake) == _without(before, GONE_ONE)
    assert list(still_held(lake, removed_samples(lake)))
    free(lake)
    assert list(still_held(lake, removed_samples(lake))) == []


def test_a_damaged_removal_is_written_again(lake: Lake) -> None:
    before = _rows(lake)
    removal = remove_samples(lake, DATASET, [GONE_ONE])
    shard = next(lake.root.glob("removed_sample/*.parquet"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 4
    shard.write_bytes(content)
    (taken,) = repair(lake)
    assert taken.commit_id == f"{removal.run_id}-0"
    assert "the removal was written again" in taken.reason
    assert _rows(lake) == _without(before, GONE_ONE)


def test_of_a_damaged_shard_that_was_written_anew_the_sample_does_not_come_back(
    lake: Lake,
) -> None:
    before = _rows(lake)
    removal = remove_samples(lake, DATASET, [GONE_ONE])
    (joined,) = [
        one.joined
        for one in removal.rewritten
        if one.joined and one.joined.of.startswith("extract") and one.joined.model_id == "alpha"
    ]
    path = lake.root / joined.shards[0].path
    path.write_bytes(path.read_bytes()[::-1])
    repair(lake)
    assert _rows(lake) == _without(before, GONE_ONE)
    free(lake)
    assert _rows(lake) == _without(before, GONE_ONE)


def test_a_dataset_that_is_removed_and_added_again_stays_without_it(lake: Lake) -> None:
    remove_samples(lake, DATASET, [GONE_ONE])
    remove(lake, "dataset", DATASET, with_dependents=True)
    _write(lake, RunSpec("datasets-add", None, DATASET, {"again": 1}), dataset_rows(n=N))
    assert GONE_ONE not in {row[1] for row in rows(lake, "sample") if row[0] == DATASET}


def test_a_record_of_a_removal_made_by_hand_is_refused(lake: Lake) -> None:
    import json

    removal = remove_samples(lake, DATASET, [GONE_ONE])
    path = lake.commits_dir / f"{removal.run_id}-0.json"
    record = json.loads(path.read_text())
    for what, samples in (("samples", [{"mark": "../x", "place": 1}]), ("dataset", None)):
        config = {**record["run"]["config"], "what": what}
        if samples:
            config["samples"] = samples
        path.write_text(resealed({**record, "run": {**record["run"], "config": config}}))
        with pytest.raises(LayerhouseError, match="is damaged"):
            list_commits(lake)


def test_an_unsafe_removal_is_found_out(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: one that writes no shard anew, and frees what is left."""
    for module in (removing_samples, erasing):
        monkeypatch.setattr(module, "erase", lambda _: iter(()))
    monkeypatch.setattr("warehouse.lake.freeing.erase", lambda _: iter(()))
    remove_samples(lake, DATASET, [GONE_ONE])
    free(lake)
    assert {each.path.partition("/")[0] for each in still_held(lake, removed_samples(lake))} == {
        "activation",
        "answer",
        "sample",
    }


EACH = pytest.param(1, marks=pytest.mark.slow)


@pytest.mark.parametrize("every", [EACH, 59])
def test_killed_at_any_step_it_is_there_or_gone(kept: Lake, tmp_path: Path, every: int) -> None:
    before = _rows(kept)
    after = _without(before, GONE_ONE)
    step, ended, seen = 0, False, set()
    while not ended:
        lake = Lake.at(tmp_path / f"{step}")
        shutil.copytree(kept.root, lake.root)

        def act(lake: Lake = lake) -> tuple[SampleRemoval, object]:
            return remove_samples(lake, DATASET, [GONE_ONE]), free(lake)

        ended = _killed_at(step, act)
        found = _rows(lake)
        assert found in (before, after), step
        seen.add(found == before)
        assert repair(lake) == []
        remove_samples(lake, DATASET, [GONE_ONE])
        free(lake)
        assert list(still_held(lake, removed_samples(lake))) == []
        assert _rows(lake) == after, step
        step += every
    assert seen == {True, False}
