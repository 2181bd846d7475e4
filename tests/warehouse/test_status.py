"""What `status` says about lakes in every state of the work."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from tests.lakes import Signals, synthetic_lake
from tests.warehouse.full_lake import DATASET, FAULTED, MODEL, full_lake
from tests.warehouse.small_lakes import tampered
from warehouse.catalogue.refreshing import refresh
from warehouse.errors import UsageError
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.status import PairStatus, StatusReport, status


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return full_lake(tmp_path_factory.mktemp("status") / "lake")


@pytest.fixture
def lake(whole: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(whole.root, tmp_path / "lake")
    return Lake.at(tmp_path / "lake")


def _pair(report: StatusReport, model_id: str) -> PairStatus:
    (pair,) = [pair for pair in report.pairs if pair.model_id == model_id]
    return pair


def test_a_pair_tells_what_is_there(whole: Lake) -> None:
    report = status(whole)
    pair = _pair(report, MODEL)
    assert [(e.module, e.n_loci_extracted, e.n_loci) for e in pair.extents] == [
        ("vision", 6, 6),
        ("connector", 1, 1),
        ("llm", 6, 6),
    ]
    assert [e.readouts for e in pair.extents] == [
        ("cls", "grid", "mean"),
        ("grid", "mean"),
        ("grid", "last", "mean"),
    ]
    assert [e.n_unprobed for e in pair.extents] == [0, 0, 0]
    assert {e.n_samples for e in pair.extents} == {pair.n_samples} == {48}
    assert pair.answers == {"generate": 48, "likelihood": 48, "sampled:2x0.7": 48}
    assert pair.n_tied == 0
    assert pair.probes == {"linear": 56}
    assert pair.baselines == ("texture-svm",)
    assert report.n_shards > 20
    assert report.n_bytes == sum(path.stat().st_size for path in whole.root.rglob("*.parquet"))


def test_intervals_of_other_losses_are_stale(whole: Lake) -> None:
    report = status(whole)
    assert _pair(report, MODEL).diagnosis == "stale"
    assert _pair(report, FAULTED).diagnosis == "none"
    assert _pair(report, MODEL).next_command == (
        f"layerhouse diagnose --model {MODEL} --dataset {DATASET}"
    )


def test_a_fault_is_named_in_the_command_that_extracts_it(whole: Lake) -> None:
    command = _pair(status(whole), FAULTED).next_command
    assert command is not None
    assert shlex.split(command) == [
        "layerhouse",
        "extract",
        "--model",
        "alpha",
        "--dataset",
        DATASET,
        "--fault",
        "swap@vision:0.5",
    ]


def _edited(lake: Lake, statement: str) -> StatusReport:
    with tampered(lake) as con:
        con.execute(statement)
    return status(lake)


def test_the_next_command_follows_the_order_of_the_work(lake: Lake) -> None:
    names = f"--model {MODEL} --dataset {DATASET}"
    fresh = _edited(lake, "UPDATE mart_failure_modes SET loss_lower = 0")
    assert (_pair(fresh, MODEL).diagnosis, _pair(fresh, MODEL).next_command) == ("fresh", None)
    assert _pair(fresh, MODEL).floor_command == (
        f"layerhouse extract --model alpha --dataset {DATASET} --random-weights 0"
    )
    assert _pair(fresh, FAULTED).floor_command is None
    twin = _edited(lake, f"UPDATE model SET variant = 'random:3' WHERE model_id = '{FAULTED}'")
    assert {pair.floor_command for pair in twin.pairs} == {None}
    bare = _edited(lake, "DELETE FROM baseline")
    assert _pair(bare, MODEL).floor_command is None
    assert _pair(bare, MODEL).next_command == (
        f"layerhouse baseline --dataset {DATASET} --architecture texture-svm"
    )
    unprobed = _edited(lake, "DELETE FROM probe WHERE module = 'llm' AND layer = 3")
    assert _pair(unprobed, MODEL).next_command == f"layerhouse probe {names}"
    silent = _edited(lake, "DELETE FROM answer")
    assert _pair(silent, MODEL).next_command == (
        f"layerhouse extract --model {MODEL} --dataset {DATASET}"
    )


def test_an_unfinished_run_comes_first_with_its_selection(lake: Lake) -> None:
    selection = {
        "modules": ["llm"],
        "layers": ["-1", "final_norm"],
        "readouts": [],
        "limit": 5,
        "answers": ["generate"],
    }
    spec = RunSpec("extract", FAULTED, DATASET, {"identity": {}, "selection": selection})
    with RunWriter(lake, spec) as writer:
        writer.commit({})
    report = status(lake)
    (run,) = report.unfinished
    assert (run.run_id, run.n_commits) == (spec.run_id, 1)
    assert shlex.split(run.next_command) == [
        "layerhouse",
        "extract",
        "--model",
        "alpha",
        "--dataset",
        DATASET,
        "--fault",
        "swap@vision:0.5",
        "--module",
        "llm",
        "--layer",
        "-1",
        "--layer",
        "final_norm",
        "--answer",
        "generate",
        "--limit",
        "5",
    ]
    assert report.next_command == run.next_command == _pair(report, FAULTED).next_command


def test_an_unfinished_probing_is_gone_on_with_as_it_was_asked_for(lake: Lake) -> None:
    config = {"kind": "mlp", "targets": [["none", 0], ["none", 1]]}
    with RunWriter(lake, RunSpec("probe", MODEL, DATASET, config)) as writer:
        writer.commit({})
    (run,) = status(lake).unfinished
    assert run.next_command == (
        f"layerhouse probe --model {MODEL} --dataset {DATASET} --kind mlp --control none --seeds 2"
    )


BEGUN: list[tuple[str, dict[str, object], str]] = [
    ("probe-geometry", {}, "probe {} --geometry"),
    ("probe-border", {}, "probe {} --border"),
    ("probe-target", {"settings": {"attribute": "the view"}}, "probe {} --target 'the view'"),
    (
        "probe-control-task",
        {"settings": {"attribute": "site", "kind": "mlp"}},
        "probe {} --control-task site --kind mlp",
    ),
    ("probe-folds", {"settings": {"n_folds": 5}}, "probe {} --folds 5"),
    ("diagnose-choice", {}, "diagnose {}"),
    ("self-test", {}, "diagnose {} --self-test"),
    ("answers-import", {"file": "replies.csv"}, "answers import replies.csv {}"),
    ("answers-judge", {"judge": "qwen-judge"}, "answers reparse {} --judge qwen-judge"),
    ("datasets-audit", {}, f"datasets audit {DATASET}"),
    (
        "extract",
        {
            "selection": {
                "answers": ["generate@letters/given/own", "sampled:8x0.7@letters/given/own"],
                "answers_only": True,
                "prompts": ["letters"],
                "orders": "given",
                "samples": 8,
                "temperature": 0.7,
            }
        },
        "extract {} --answers-only --orders given --prompt letters --answer generate "
        "--samples 8 --temperature 0.7",
    ),
]


def test_a_run_is_gone_on_with_by_the_command_that_began_it(lake: Lake) -> None:
    names, wanted = f"--model {MODEL} --dataset {DATASET}", {}
    for command, config, again in BEGUN:
        spec = RunSpec(command, MODEL, DATASET, config)
        with RunWriter(lake, spec) as writer:
            writer.commit({})
        wanted[spec.run_id] = f"layerhouse {again.format(names)}"
    assert {run.run_id: run.next_command for run in status(lake).unfinished} == wanted


def test_a_strangers_run_says_anything_and_hides_nothing(lake: Lake) -> None:
    before, begun = status(lake), set()
    strange: list[tuple[str, dict[str, object]]] = [
        ("probe-folds", {}),
        ("probe", {"targets": [1]}),
        ("datasets-add", {"location": 5}),
    ]
    for command, config in strange:
        spec = RunSpec(command, MODEL, DATASET, config)
        with RunWriter(lake, spec) as writer:
            writer.commit({})
        begun.add(spec.run_id)
    report = status(lake)
    assert {run.run_id for run in report.unfinished} == begun
    assert all(run.next_command.endswith(" --help") for run in report.unfinished)
    assert report.problem is None
    assert len(report.pairs) == len(before.pairs) > 0


def test_of_several_unfinished_runs_the_newest_is_gone_on_with(lake: Lake) -> None:
    for model, module in ((MODEL, "llm"), (MODEL, "vision"), (FAULTED, "connector")):
        config = {"identity": {}, "selection": {"modules": [module]}}
        with RunWriter(lake, RunSpec("extract", model, DATASET, config)) as writer:
            writer.commit({})
    refresh(lake)
    for newest, middle, oldest in (
        ("llm", "vision", "connector"),
        ("connector", "vision", "llm"),
        ("vision", "connector", "llm"),
    ):
        begun = "".join(
            f"UPDATE run SET started_at = TIMESTAMPTZ '2026-01-0{day} 00:00:00+00' "
            f"WHERE config LIKE '%\"{module}\"%';"
            for day, module in enumerate((oldest, middle, newest), start=1)
        )
        report = _edited(lake, begun)
        order = [run.next_command.rpartition(" ")[2] for run in report.unfinished]
        assert order == [newest, middle, oldest]
        assert report.next_command.endswith(f"--module {newest}")
        of_the_model = [module for module in order if module != "connector"]
        assert str(_pair(report, MODEL).next_command).endswith(f"--module {of_the_model[0]}")
        assert str(_pair(report, FAULTED).next_command).endswith("--module connector")


def test_names_are_quoted_for_the_shell(tmp_path: Path) -> None:
    name = "my model; rm -rf"
    lake = synthetic_lake(tmp_path / "lake", {name: Signals()}, n_samples=40)
    command = status(lake).next_command
    assert shlex.split(command) == ["layerhouse", "extract", "--model", name, "--dataset", "shapes"]


def test_files_without_a_commit_are_left_over(lake: Lake) -> None:
    shard = next(lake.root.glob("answer/**/*.parquet"))
    shutil.copyfile(shard, shard.with_name("part-lost-0.parquet"))
    (shard.parent / "extract-1-2.tmp").write_bytes(b"half")
    (lake.root / "catalog.building.wal").write_bytes(b"")
    found = {(Path(item.path).name, item.kind) for item in status(lake).leftovers}
    assert found == {
        ("part-lost-0.parquet", "uncommitted"),
        ("extract-1-2.tmp", "temporary"),
        ("catalog.building.wal", "temporary"),
    }


def test_a_sound_lake_has_no_leftovers_and_no_damage(whole: Lake) -> None:
    report = status(whole, verify=True)
    assert (report.leftovers, report.damaged, report.problem) == ([], [], None)


def test_damage_is_found_by_size_and_on_request_by_checksum(lake: Lake) -> None:
    first, second, third = sorted(lake.root.glob("activation/**/*.parquet"))[:3]
    first.unlink()
    second.write_bytes(second.read_bytes() + b"x")
    data = bytearray(third.read_bytes())
    data[len(data) // 2] ^= 1
    third.write_bytes(data)
    names = [path.relative_to(lake.root).as_posix() for path in (first, second, third)]
    assert [item.path for item in status(lake).damaged] == names[:2]
    found = {item.path: item.problem for item in status(lake, verify=True).damaged}
    assert list(found) == names
    assert found[names[0]] == "is missing"
    assert found[names[1]].startswith("has ")
    assert "checksum" in found[names[2]]


def test_a_lake_that_cannot_be_built_is_reported(lake: Lake) -> None:
    lake.catalogue.unlink()
    shard = next(lake.root.glob("answer/**/*.parquet"))
    shard.unlink()
    report = status(lake)
    assert report.problem is not None
    assert shard.name in report.problem
    assert [Path(item.path).name for item in report.damaged] == [shard.name]
    assert report.pairs == []


def test_a_damaged_commit_record_is_reported(lake: Lake) -> None:
    record = next(lake.commits_dir.glob("probe-*.json"))
    record.write_text("{")
    report = status(lake)
    assert [item.path for item in report.damaged] == [f"commits/{record.name}"]
    assert report.leftovers == []
    assert report.problem is not None


def test_an_empty_lake_begins_with_the_demo(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    report = status(Lake.at(tmp_path / "lake"))
    assert (report.pairs, report.next_command) == ([], "layerhouse demo")


def test_a_dataset_without_models_asks_for_an_extraction(tmp_path: Path) -> None:
    lake = synthetic_lake(tmp_path / "lake", {}, baseline=None, n_samples=40)
    report = status(lake)
    (dataset,) = report.datasets
    assert (dataset.dataset_id, dataset.n_samples, dataset.n_classes) == ("shapes", 40, 4)
    assert report.next_command == "layerhouse extract --model tiny-digits --dataset shapes"


def test_a_finished_lake_asks_for_the_report(lake: Lake) -> None:
    with tampered(lake) as con:
        con.execute("UPDATE mart_failure_modes SET loss_lower = 0")
        con.execute(f"DELETE FROM answer WHERE model_id <> '{MODEL}'")
        con.execute(f"DELETE FROM probe WHERE model_id <> '{MODEL}'")
        con.execute(f"DELETE FROM stored.scored_probe WHERE model_id <> '{MODEL}'")
        con.execute(f"DELETE FROM mart_failure_modes WHERE model_id <> '{MODEL}'")
    report = status(lake)
    assert report.next_command == "layerhouse report --out report.html"
    assert not any([report.unfinished, report.leftovers, report.damaged, report.problem])
    assert [(pair.model_id, pair.next_command) for pair in report.pairs] == [(MODEL, None)]


def test_no_lake_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no lake"):
        status(Lake.at(tmp_path / "nowhere"))


def test_status_adds_no_file_to_a_current_lake(lake: Lake) -> None:
    refresh(lake)
    before = sorted(path for path in lake.root.rglob("*"))
    status(lake, verify=True)
    assert sorted(path for path in lake.root.rglob("*")) == before
