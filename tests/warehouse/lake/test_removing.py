"""What a removal takes out is gone for every reader at once, and nothing else is."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.warehouse.small_lakes import (
    DATASET,
    add_dataset,
    add_extraction,
    answer_row,
    dataset_rows,
    extract_spec,
    files,
    resealed,
    rows,
    rows_of,
    small_lake,
)
from warehouse.catalogue import filling
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import removing
from warehouse.lake.commits import read_commit
from warehouse.lake.facts import RunFacts
from warehouse.lake.freeing import free
from warehouse.lake.inspection import leftovers, take_stock
from warehouse.lake.lake import Lake
from warehouse.lake.removing import Removal, remove
from warehouse.lake.repairing import repair, sweep
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.standing import commit_names, list_commits
from warehouse.schema import migrations
from warehouse.status import status
from warehouse.vocabulary import MADE_FROM

MODEL = "alpha"
VARIANT = "alpha+fault:swap@vision:0.5"
PAIR = {"stage": "answer", "quantity": "accuracy", "point": 0.0, "lower": 0.0, "upper": 0.0}
INTERVAL = {"stage": "total", "quantity": "loss", "point": 0.0, "lower": 0.0, "upper": 0.0}


def _write(lake: Lake, spec: RunSpec, tables: dict[str, list[dict[str, Any]]]) -> str:
    with RunWriter(lake, spec) as writer:
        writer.commit(tables)
        writer.finish()
    return spec.run_id


def _probe(model_id: str, dataset_id: str) -> dict[str, Any]:
    return {
        "probe_id": f"{model_id}/{dataset_id}",
        "model_id": model_id,
        "dataset_id": dataset_id,
        "module": "llm",
        "layer": 0,
        "readout": "mean",
        "kind": "linear",
        "control": "none",
        "seed": 0,
        "hyperparameters": {},
        **{f"n_{split}": 1 for split in ("train", "val", "test")},
        "fit_seconds": 0.1,
    }


def _baseline() -> dict[str, Any]:
    left_out = ("model_id", "module", "layer", "readout", "probe_id", "control")
    row = {name: value for name, value in _probe("", DATASET).items() if name not in left_out}
    return row | {"baseline_id": "b", "architecture": "texture-svm"}


def _fill(path: Path) -> dict[str, str]:
    """A lake with every kind of run: ids by a short name."""
    lake = small_lake(path)  # the dataset, and the model of small_lakes
    add_extraction(lake, MODEL)
    add_extraction(lake, VARIANT)
    _write(lake, RunSpec("datasets-add", None, "other", {}), dataset_rows("other"))
    pair = {"n_resamples": 100, "n_groups": 4, "model_id": VARIANT, "dataset_id": DATASET}
    return {
        "extract": extract_spec(MODEL).run_id,
        "probe": _write(
            lake, RunSpec("probe", MODEL, DATASET, {}), {"probe": [_probe(MODEL, DATASET)]}
        ),
        "coefficients": _write(
            lake,
            RunSpec("probe-coefficients", MODEL, DATASET, {}),
            {
                "probe_coefficient": [
                    {
                        "probe_id": f"{MODEL}/{DATASET}",
                        "class_index": 0,
                        "coefficients": [1.0],
                        "intercept": 0.0,
                    }
                ]
            },
        ),
        "baseline": _write(
            lake, RunSpec("baseline", None, DATASET, {}), {"baseline": [_baseline()]}
        ),
        "diagnose": _write(
            lake,
            RunSpec("diagnose", MODEL, DATASET, {}),
            {"stage_interval": [{**pair, **INTERVAL, "model_id": MODEL, "margin": 0.02}]},
        ),
        "compare": _write(
            lake,
            RunSpec("compare", VARIANT, DATASET, {"base": MODEL}),
            {"pair_interval": [{**pair, **PAIR, "base_model_id": MODEL}]},
        ),
        "self-test": _write(lake, RunSpec("self-test", MODEL, DATASET, {}), {}),
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, str]]:
    path = tmp_path_factory.mktemp("removing") / "lake"
    return Lake.at(path), _fill(path)


@pytest.fixture
def ids(whole: tuple[Lake, dict[str, str]]) -> dict[str, str]:
    return whole[1]


@pytest.fixture
def lake(whole: tuple[Lake, dict[str, str]], tmp_path: Path) -> Lake:
    shutil.copytree(whole[0].root, tmp_path / "lake")
    return Lake.at(tmp_path / "lake")


def _runs(lake: Lake) -> set[str]:
    """The runs that readers see, but for removals."""
    return {commit.run_id for commit in list_commits(lake) if commit.command != "remove"}


def _about(lake: Lake, **names: str) -> set[str]:
    found = list_commits(lake, **names)  # type: ignore[arg-type]
    return {commit.run_id for commit in found}


def _named(removal: Removal) -> tuple[set[str], set[str]]:
    return (
        {one.facts.run_id for one in removal.runs},
        {one.facts.run_id for one in removal.dependents},
    )


def test_a_dry_run_says_what_would_go_and_touches_nothing(lake: Lake) -> None:
    before = files(lake)
    planned = remove(lake, "dataset", DATASET, dry_run=True)
    runs, dependents = _named(planned)
    assert len(runs) == 1
    assert runs | dependents == _about(lake, dataset_id=DATASET)
    (one,) = planned.runs
    shards = [s for c in list_commits(lake) if c.run_id == one.facts.run_id for s in c.shards]
    assert (one.n_shards, one.n_rows) == (len(shards), sum(shard.rows for shard in shards))
    assert one.n_bytes == sum(shard.bytes for shard in shards)
    assert planned.run_id is None
    assert files(lake) == before


def test_a_dataset_on_which_runs_rest_stays_unless_they_may_go(lake: Lake) -> None:
    before = commit_names(lake)
    with pytest.raises(LayerhouseError, match=r"^9 runs rest on the dataset digits \(extract-"):
        remove(lake, "dataset", DATASET)
    assert commit_names(lake) == before


def test_a_dataset_goes_with_all_that_rests_on_it_and_another_stays(lake: Lake) -> None:
    removal = remove(lake, "dataset", DATASET, with_dependents=True)
    assert _runs(lake) == _about(lake, dataset_id="other") != set()
    with connect(lake) as wh:
        for table in ("activation", "answer", "probe", "baseline", "pair_interval", "sample"):
            count = f"SELECT count(*) FROM {table} WHERE dataset_id = 'digits'"
            assert wh.sql(count).fetchall() == [(0,)], table
        assert wh.sql("SELECT dataset_id FROM dataset").fetchall() == [("other",)]
        told = wh.sql("SELECT removed_run_id FROM removed_run WHERE run_id = $1", [removal.run_id])
        assert {name for (name,) in told.fetchall()} == set.union(*_named(removal))
        (row,) = wh.sql("SELECT run_id, status FROM run WHERE command = 'remove'").fetchall()
    assert row == (removal.run_id, "finished")


def test_a_dataset_without_anything_on_it_just_goes(lake: Lake) -> None:
    remove(lake, "dataset", "other")
    assert _about(lake, dataset_id="other") == set()


def test_a_model_goes_whole_and_its_variants_stay_and_are_named(
    lake: Lake, ids: dict[str, str]
) -> None:
    own = {ids[name] for name in ("extract", "probe", "coefficients", "diagnose", "self-test")}
    planned = remove(lake, "model", MODEL, dry_run=True)
    assert _named(planned) == (own, {ids["compare"]})
    assert planned.variants == (VARIANT,)
    with pytest.raises(LayerhouseError, match=rf"1 run rests .* \({ids['compare']}\)"):
        remove(lake, "model", MODEL)
    remove(lake, "model", MODEL, with_dependents=True)
    assert _about(lake, model_id=MODEL) == set()
    assert _about(lake, model_id=VARIANT) == {extract_spec(VARIANT).run_id}
    assert ids["baseline"] in _runs(lake)


def test_a_variant_goes_without_its_base(lake: Lake, ids: dict[str, str]) -> None:
    remove(lake, "model", VARIANT)
    assert ids["compare"] not in _runs(lake)
    assert ids["diagnose"] in _runs(lake)


@pytest.mark.parametrize(
    ("run", "dependents"),
    [
        ("extract", {"probe", "coefficients", "diagnose", "compare"}),
        ("probe", {"coefficients", "diagnose", "compare"}),
        ("baseline", {"diagnose", "compare"}),
        ("coefficients", set()),
        ("diagnose", set()),
        ("self-test", set()),
    ],
)
def test_what_rests_on_a_run_is_what_was_made_from_its_rows(
    lake: Lake, ids: dict[str, str], run: str, dependents: set[str]
) -> None:
    planned = remove(lake, "run", ids[run], dry_run=True)
    assert _named(planned) == ({ids[run]}, {ids[name] for name in dependents})


def test_every_command_that_writes_is_known_by_what_it_is_made_from() -> None:
    """Or its rows would be taken for made from all evidence there is."""
    root = Path(removing.__file__).parents[2]
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for room in ("extract", "analysis", "layerhouse")
        for path in (root / room).rglob("*.py")
    )
    commands = set(re.findall(r'^COMMAND = "(.+?)"|Measure\(\s*"(.+?)"', text, re.MULTILINE))
    found = {first or second for first, second in commands}
    assert found - {"datasets-add"} == set(MADE_FROM)


def test_a_dataset_registered_twice_stays_while_one_registration_does(lake: Lake) -> None:
    renamed = RunSpec("datasets-add", None, DATASET, {"revision": 1})
    _write(lake, renamed, dataset_rows())
    planned = remove(lake, "run", renamed.run_id)
    assert planned.dependents == ()
    assert rows(lake, "dataset")


@pytest.mark.parametrize(
    ("kind", "wrong", "right"),
    [
        ("dataset", "digit", "digits"),
        ("model", "alphas", "alpha"),
        ("run", "{extract}0", "{extract}"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(
    lake: Lake, ids: dict[str, str], kind: str, wrong: str, right: str
) -> None:
    wrong, right = wrong.format(**ids), right.format(**ids)
    with pytest.raises(UsageError, match=f"the lake holds no {kind} '{wrong}'; did you .*{right}"):
        remove(lake, kind, wrong)


def test_what_was_removed_before_is_nothing_to_do(lake: Lake) -> None:
    first = remove(lake, "dataset", "other")
    again = remove(lake, "dataset", "other")
    assert (again.runs, again.run_id) == ((), first.run_id)
    assert len(list_commits(lake, command="remove")) == 1


def test_a_removal_is_not_removed(lake: Lake) -> None:
    removal = remove(lake, "dataset", "other")
    assert removal.run_id is not None
    with pytest.raises(UsageError, match="is a removal, which is not taken back"):
        remove(lake, "run", removal.run_id)


# Others at work.


@pytest.mark.parametrize("kind", ["dataset", "model", "run"])
@pytest.mark.parametrize("act", ["commit", "finish", "look"])
def test_a_writer_whose_ground_was_removed_stops_with_one_sentence(
    lake: Lake, ids: dict[str, str], kind: str, act: str
) -> None:
    names = {"dataset": DATASET, "model": MODEL, "run": ids["extract"]}
    probing = RunWriter(lake, RunSpec("probe", MODEL, DATASET, {"kind": "mlp"}))
    probing.commit({"probe": [_probe(MODEL, DATASET) | {"probe_id": "first"}]})
    removal = remove(lake, kind, names[kind], with_dependents=True)
    left = files(lake)
    said = (
        f"the {kind} {names[kind]} was removed from the lake meanwhile ({removal.run_id}); "
        "nothing more was added, run layerhouse probe again if that is to be done anew"
    )
    second = {"probe": [_probe(MODEL, DATASET) | {"probe_id": "second"}]}
    acts: dict[str, Callable[[], object]] = {
        "commit": partial(probing.commit, second),
        "finish": probing.finish,
        "look": probing.require_ground,
    }
    with pytest.raises(LayerhouseError, match=f"^{re.escape(said)}$"):
        acts[act]()
    assert files(lake) == left
    assert probing.run_id not in _runs(lake)


def test_an_agent_that_is_at_a_removed_run_stops_too(lake: Lake) -> None:
    """Also where what it says of its range is what was committed, and taken out, before."""
    agent = RunWriter(lake, extract_spec(MODEL, more=True))
    tables = {"answer": [answer_row("s0", model_id=MODEL)]}
    agent.commit(tables, covers={"start": 0})
    remove(lake, "run", agent.run_id, with_dependents=True)
    with pytest.raises(LayerhouseError, match=f"the run {agent.run_id} was removed"):
        agent.commit(tables, covers={"start": 0})


def test_a_writer_about_other_things_goes_on(lake: Lake) -> None:
    writer = RunWriter(lake, RunSpec("baseline", None, "other", {}))
    remove(lake, "dataset", DATASET, with_dependents=True)
    writer.commit({"baseline": [_baseline() | {"dataset_id": "other"}]})
    writer.finish()
    assert writer.is_finished


def test_who_began_after_the_removal_is_not_stopped_by_it(lake: Lake, ids: dict[str, str]) -> None:
    remove(lake, "run", ids["coefficients"])
    remove(lake, "run", ids["diagnose"])
    _write(lake, RunSpec("diagnose", MODEL, DATASET, {}), {})
    assert ids["diagnose"] in _runs(lake)


def test_what_was_added_while_a_removal_was_planned_goes_with_it(
    lake: Lake, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, late = removing._commit, extract_spec(MODEL, late=True)
    answers = {"answer": [answer_row("s0", model_id=MODEL)]}

    def overtaken(*given: Any) -> Removal:
        monkeypatch.undo()
        RunWriter(lake, late).commit(answers)
        return commit(*given)

    monkeypatch.setattr(removing, "_commit", overtaken)
    removal = remove(lake, "model", MODEL, with_dependents=True)
    assert {late.run_id, ids["extract"]} <= _named(removal)[0]
    assert _about(lake, model_id=MODEL) == set()


def test_a_removal_that_others_keep_adding_to_says_so(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, late = removing._commit, iter(range(1000))

    def overtaken(*given: Any) -> Removal:
        _write(lake, RunSpec("self-test", MODEL, DATASET, {"n": next(late)}), {})
        return commit(*given)

    monkeypatch.setattr(removing, "_commit", overtaken)
    with pytest.raises(LayerhouseError, match="added to the model alpha all the time; stop what"):
        remove(lake, "model", MODEL, with_dependents=True)
    assert _about(lake, model_id=MODEL) != set()
    assert list_commits(lake, command="remove") == []


def test_two_removers_take_a_thing_out_once(lake: Lake) -> None:
    with ThreadPoolExecutor(2) as pool:
        asked = [
            pool.submit(remove, lake, "dataset", DATASET, with_dependents=True) for _ in range(2)
        ]
        done = {one.result().run_id for one in asked}
    assert len(done) == 1
    assert len(list_commits(lake, command="remove")) == 1


def test_a_remover_that_fails_half_way_leaves_all_or_nothing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its record it has done nothing, after it everything, whatever is rebuilt."""
    before = commit_names(lake)
    folder = type(lake.store)

    def full(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(folder, "enter", full)
        with pytest.raises(LayerhouseError, match="No space left"):
            remove(lake, "dataset", "other")
    assert commit_names(lake) == before
    assert remove(lake, "dataset", "other").runs
    with connect(lake) as wh:  # the catalogue had not heard of it
        assert wh.sql("SELECT dataset_id FROM dataset").fetchall() == [(DATASET,)]


# Done anew.


@pytest.mark.parametrize("freed", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_removed_run_done_anew_is_there_once_under_later_numbers(lake: Lake, freed: bool) -> None:
    before = rows_of(lake, "activation", "answer", "sample")
    remove(lake, "dataset", DATASET, with_dependents=True)
    if freed:
        assert free(lake)
    assert rows(lake, "answer") == []
    add_dataset(lake)
    for model_id in (MODEL, VARIANT, "tiny+fault:swap@vision:0.5,seed=1"):
        add_extraction(lake, model_id)
    assert rows_of(lake, *before) == before
    assert extract_spec(MODEL).run_id in _runs(lake)
    numbers = [commit.n for commit in list_commits(lake, model_id=MODEL)]
    assert min(numbers) == 3
    assert repair(lake) == []
    assert {each.kind for each in leftovers(lake, take_stock(lake))} == (
        set() if freed else {"removed"}
    )


def test_removed_again_it_is_gone_again(lake: Lake) -> None:
    first = remove(lake, "dataset", "other")
    _write(lake, RunSpec("datasets-add", None, "other", {}), dataset_rows("other"))
    second = remove(lake, "dataset", "other")
    assert first.run_id != second.run_id
    assert _about(lake, dataset_id="other") == set()


def test_a_run_done_anew_is_seen_though_the_records_of_the_removed_one_are_gone(
    lake: Lake,
) -> None:
    """As a repair by an earlier Layerhouse leaves it once their files are deleted."""
    remove(lake, "model", MODEL, with_dependents=True)
    for path in lake.commits_dir.glob(f"{extract_spec(MODEL).run_id}-*.json"):
        path.unlink()
    add_extraction(lake, MODEL)
    assert [commit.n for commit in list_commits(lake, model_id=MODEL)] == [3, 4, 5]


# Readers, space and damage.


@pytest.mark.slow
def test_who_opened_the_lake_before_still_sees_it_until_the_space_is_freed(lake: Lake) -> None:
    def vectors(wh: Any) -> int:
        return len(wh.activations(MODEL, DATASET, "llm", 0, "mean")[0])

    with connect(lake) as older:
        remove(lake, "model", MODEL, with_dependents=True)
        with connect(lake) as newer, pytest.raises(UsageError):
            vectors(newer)
        assert vectors(older) == 4
        free(lake)
        assert older.sql("SELECT count(*) FROM answer WHERE model_id = 'alpha'").fetchall() == [
            (4,)
        ]
        with pytest.raises(LayerhouseError, match=r"the shard activation/model=alpha.* is missing"):
            vectors(older)


@pytest.mark.slow
def test_status_tells_what_was_removed_and_free_deletes_exactly_that(lake: Lake) -> None:
    planned = remove(lake, "model", MODEL, with_dependents=True)
    whole = [*planned.runs, *planned.dependents]
    before, kept = status(lake), {shard.path for c in list_commits(lake) for shard in c.shards}
    assert len(before.removed) == sum(one.n_shards for one in whole)
    assert sum(each.bytes for each in before.removed) == sum(one.n_bytes for one in whole)
    assert before.leftovers == []
    assert before.n_shards == len(kept)
    there = files(lake, "*.parquet")
    assert free(lake, dry_run=True) == before.removed
    assert files(lake, "*.parquet") == there
    assert free(lake) == before.removed
    assert files(lake, "*.parquet") == kept
    assert free(lake) == []
    after = status(lake, verify=True)
    assert (after.removed, after.damaged, after.leftovers, after.problem) == ([], [], [], None)
    assert repair(lake) == []


def test_a_sweep_spares_what_was_removed_however_old(lake: Lake) -> None:
    remove(lake, "model", MODEL, with_dependents=True)
    for path in lake.root.rglob("*.parquet"):
        os.utime(path, (0, 0))
    swept = sweep(lake)
    assert (swept.deleted, swept.set_aside) == ([], [])


def test_nothing_is_freed_while_a_record_cannot_be_read(lake: Lake) -> None:
    remove(lake, "model", MODEL, with_dependents=True)
    (lake.commits_dir / f"{commit_names(lake)[0]}.json").write_text("{")
    before = files(lake)
    with pytest.raises(LayerhouseError, match="cannot be read; run `layerhouse status --repair`"):
        free(lake)
    assert files(lake) == before


def test_free_deletes_shards_alone_and_none_that_readers_see(lake: Lake) -> None:
    """Whatever a record made by hand names as removed."""
    kept = next(s for c in list_commits(lake, dataset_id="other") for s in c.shards)
    remove(lake, "model", MODEL, with_dependents=True)
    path = lake.commits_dir / f"{extract_spec(MODEL).run_id}-0.json"
    record = json.loads(path.read_text())
    others = ["commits/lock", f"commits/{path.name}", "mine.parquet"]
    (lake.root / "mine.parquet").write_bytes(b"mine")
    named = [vars(kept), *(vars(kept) | {"path": each} for each in others)]
    for name in named:
        path.write_text(resealed(record | {"shards": [*record["shards"], name]}))
        with pytest.raises(LayerhouseError, match="cannot be read"):
            free(lake)
    path.write_text(resealed(record))
    assert free(lake)
    assert all((lake.root / each).exists() for each in (kept.path, *others))


def _lose_record(lake: Lake, name: str) -> None:
    (lake.commits_dir / f"{name}.json").write_text("{")


def _lose_shard(lake: Lake, name: str) -> None:
    path = next(s.path for s in read_commit(lake, name).shards if s.table == "removed_run")
    (lake.root / path).write_bytes(b"")


@pytest.mark.parametrize("lose", [_lose_record, pytest.param(_lose_shard, marks=pytest.mark.slow)])
def test_what_was_removed_does_not_come_back_where_the_removal_is_damaged(
    lake: Lake, lose: Callable[[Lake, str], None]
) -> None:
    removal = remove(lake, "model", MODEL, with_dependents=True)
    add_extraction(lake, MODEL)  # so that rows would be doubled
    before = rows_of(lake, "answer", "activation", "removed_run")
    lose(lake, f"{removal.run_id}-0")
    with pytest.raises(LayerhouseError, match="damaged"):
        rows(lake, "answer")
    (taken,) = repair(lake)
    assert taken.reason.endswith("the removal was written again")
    assert rows_of(lake, *before) == before
    assert repair(lake) == []


def test_a_removal_that_is_lost_altogether_is_told(lake: Lake) -> None:
    removal = remove(lake, "dataset", "other")
    _lose_record(lake, f"{removal.run_id}-0")
    for path in (lake.root / "run").glob("part-remove-*"):
        path.unlink()
    (taken,) = repair(lake)
    assert taken.reason.endswith("what it had removed is back: remove it again")
    assert _about(lake, dataset_id="other") != set()


# Other versions.


def test_an_earlier_layerhouse_refuses_a_lake_with_a_removal(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would show the rows; it reads in the record that it is too old."""
    remove(lake, "dataset", "other")
    (record,) = list_commits(lake, command="remove")
    lake.catalogue.unlink(missing_ok=True)
    older = [one for one in migrations() if one.name < "0011_removed_run"]
    assert record.schema not in {one.name for one in older}
    monkeypatch.setattr(filling, "migrations", lambda: older)
    with pytest.raises(LayerhouseError, match=r"newer Layerhouse .* upgrade Layerhouse to read it"):
        connect(lake)


def test_runs_of_records_that_say_little_are_removed_as_well(lake: Lake) -> None:
    """Early records did not repeat the run's row."""
    for name in commit_names(lake):
        path = lake.commits_dir / f"{name}.json"
        record = json.loads(path.read_text())
        path.write_text(resealed({key: record[key] for key in record if key != "run"}))
    remove(lake, "dataset", DATASET, with_dependents=True)
    assert _runs(lake) == _about(lake, dataset_id="other")


def test_what_no_command_says_rests_on_all_evidence_of_its_model_and_dataset() -> None:
    unknown = RunFacts("scan-1", "scan", MODEL, DATASET)
    assert unknown.rests_on(RunFacts("extract-1", "extract", MODEL, DATASET))
    assert unknown.rests_on(RunFacts("baseline-1", "baseline", None, DATASET))
    assert not unknown.rests_on(RunFacts("extract-2", "extract", VARIANT, DATASET))
    assert not unknown.rests_on(RunFacts("extract-3", "extract", MODEL, "other"))
