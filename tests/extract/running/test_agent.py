"""The agent computes everything once, survives anything, and never mixes two sets of numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from extract.datasets import add
from extract.reading.reader import Reader
from extract.running import opening
from extract.running.batches import Runner
from extract.running.extraction import ExtractRequest, ExtractSummary, extract
from extract.sharing import job as jobs, ledger
from extract.sharing.seen import find_seen
from tests.extract.model_folders import edit_weights, weight_name
from tests.tables import tables
from warehouse.catalogue import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.freeing import free
from warehouse.lake.lake import Lake
from warehouse.lake.removing import Removal, remove
from warehouse.lake.runs import RunWriter
from warehouse.lake.standing import list_commits

N = 12

SHORT = 4


def _request(folder: Path, **changes: Any) -> ExtractRequest:
    """Short replies, unless they are what is asked about: a model this small never ends one."""
    asked = {"model": str(folder), "dataset": "pictures", "max_new_tokens": SHORT, **changes}
    return ExtractRequest(**asked)


def _vectors(lake: Lake, model_id: str = "llava") -> dict[tuple[Any, ...], np.ndarray[Any, Any]]:
    query = "SELECT module, layer, readout, sample_id, vector FROM activation WHERE model_id = $1"
    with tables(lake) as wh:
        rows = wh.sql(query, [model_id]).fetchall()
    found = {tuple(row[:4]): np.array(row[4], dtype=np.float32) for row in rows}
    assert len(found) == len(rows), "a vector was written twice"
    return found


def _answers(lake: Lake, model_id: str = "llava") -> dict[tuple[str, str], tuple[Any, ...]]:
    query = (
        "SELECT sample_id, method, predicted_class_index, label_logprobs, text, parsed "
        "FROM answer WHERE model_id = $1"
    )
    with tables(lake) as wh:
        rows = wh.sql(query, [model_id]).fetchall()
    found = {tuple(row[:2]): tuple(row[2:]) for row in rows}
    assert len(found) == len(rows), "an answer was written twice"
    return found


def _assert_same(
    one: dict[Any, np.ndarray[Any, Any]], other: dict[Any, np.ndarray[Any, Any]]
) -> None:
    assert one.keys() == other.keys()
    for key, vector in one.items():
        np.testing.assert_allclose(vector, other[key], rtol=1e-4, atol=1e-5, err_msg=str(key))


def _assert_same_answers(lake: Lake, expected: Lake) -> None:
    one, other = _answers(lake), _answers(expected)
    assert one.keys() == other.keys()
    for key, (predicted, logprobs, text, parsed) in one.items():
        assert (predicted, text, parsed) == (other[key][0], *other[key][2:])
        if logprobs is not None:
            np.testing.assert_allclose(logprobs, other[key][1], rtol=1e-4, atol=1e-4)


def _files(lake: Lake) -> dict[str, bytes]:
    paths = (p for p in lake.root.rglob("*") if p.is_file() and p.suffix in (".json", ".parquet"))
    return {str(path): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def undisturbed(
    registered_lake: Path, llava_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Lake, ExtractSummary]:
    """The lake of one extraction that nothing went wrong with. Readers only."""
    lake = Lake.at(tmp_path_factory.mktemp("undisturbed") / "lake")
    shutil.copytree(registered_lake, lake.root)
    return lake, extract(lake, _request(llava_folder))


def test_tables_alone_hold_what_those_of_the_catalogue_hold(lake, llava_folder):
    extract(lake, ExtractRequest(str(llava_folder), "pictures", limit=3))
    with connect(lake) as whole, tables(lake) as alone:
        for name in ("answer", "sample", "layer", "run", "shard", "activation"):
            query = f"FROM {name} ORDER BY ALL"
            assert alone.sql(query).pl().equals(whole.sql(query).pl())


def test_an_extraction_describes_the_model_and_counts_what_it_did(
    undisturbed: tuple[Lake, ExtractSummary],
) -> None:
    lake, summary = undisturbed
    assert (summary.model_id, summary.dataset_id, summary.added) == ("llava", "pictures", True)
    assert summary.n_samples == N
    off, cut = summary.notes
    assert off == "off the path to the answer: vision.2, vision.3"
    assert f"of {N} replies were cut after {SHORT} tokens" in cut  # weights drawn at random ramble
    vectors, answers = _vectors(lake), _answers(lake)
    assert len(vectors) == summary.n_vectors
    assert len(answers) == 2 * N
    with tables(lake) as wh:
        model = wh.sql("SELECT name, variant, model_type, dtype FROM model").fetchall()
        modules = wh.sql("SELECT module, n_layers FROM module ORDER BY module_order").fetchall()
        loci = wh.sql("SELECT module, layer, kind, on_path FROM layer ORDER BY depth").fetchall()
        run = wh.sql("SELECT status, config FROM run WHERE command = 'extract'").fetchall()
    assert model == [("llava", "base", "llava", "float32")]
    assert modules == [("vision", 3), ("connector", 1), ("llm", 4)]
    assert loci[2:5] == [
        ("vision", 2, "block", False),
        ("vision", 3, "post_norm", False),
        ("connector", 0, "projector", True),
    ]
    assert loci[-1] == ("llm", 4, "final_norm", True)
    assert [status for status, _ in run] == ["finished"]
    identity = json.loads(run[0][1])["identity"]
    assert identity["question"].startswith("What does this image show?")
    assert {"weights", "processor", "adapter", "preprocessing"} <= set(identity["model"])
    model, answering = {"load", "forward", "readout", "copy"}, {"likelihood", "generate"}
    around = {"decode", "preprocess", "write", "wait"}
    assert model | answering | around == set(summary.seconds)


def test_answers_are_complete_rows(undisturbed: tuple[Lake, ExtractSummary]) -> None:
    answers = _answers(undisturbed[0])
    assert len(answers) == 2 * N
    for (_, method), (predicted, logprobs, text, parsed) in answers.items():
        if method == "likelihood":
            assert predicted == int(np.argmax(logprobs))
            assert len(logprobs) == 2
            assert parsed
            assert text is None
        else:
            assert logprobs is None
            assert text is not None
            assert parsed == (predicted is not None)


def test_a_second_time_there_is_nothing_to_do_and_no_model_is_loaded(
    lake: Lake, llava_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = extract(lake, _request(llava_folder))
    before = _files(lake)
    monkeypatch.setattr(opening, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    second = extract(lake, _request(llava_folder))
    assert not second.added
    assert (second.run_id, second.n_vectors) == (first.run_id, first.n_vectors)
    narrower = extract(lake, _request(llava_folder, modules=("llm",), layers=("-1",), limit=5))
    assert not narrower.added
    assert narrower.n_vectors == 5 * 3
    assert _files(lake) == before


def test_the_batch_size_changes_no_number(
    lake: Lake, llava_folder: Path, undisturbed: tuple[Lake, ExtractSummary]
) -> None:
    extract(lake, _request(llava_folder, batch_size=5, preparers=2))
    _assert_same(_vectors(lake), _vectors(undisturbed[0]))
    assert len(_answers(lake)) == 2 * N
    _assert_same_answers(lake, undisturbed[0])


@pytest.mark.parametrize(
    "failing", [pytest.param(0, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.slow), 2]
)
def test_after_a_failure_the_next_run_ends_with_the_undisturbed_lake(
    failing: int,
    lake: Lake,
    llava_folder: Path,
    undisturbed: tuple[Lake, ExtractSummary],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "range_size", lambda *_: 4)
    commit = RunWriter.commit
    ranges = []

    def dying(self: RunWriter, tables: Any, covers: Any = None, **more: Any) -> Any:
        if covers and "start" in covers:
            ranges.append(covers)
            if len(ranges) == failing + 1:
                raise OSError("the power went out")
        return commit(self, tables, covers, **more)

    with monkeypatch.context() as broken:
        broken.setattr(RunWriter, "commit", dying)
        with pytest.raises(OSError, match="the power went out"):
            extract(lake, _request(llava_folder))
    with tables(lake) as wh:
        assert wh.sql("SELECT status FROM run WHERE command = 'extract'").fetchall() == [
            ("running",)
        ]
    summary = extract(lake, _request(llava_folder))
    assert summary.added
    done = [c.covers["start"] for c in list_commits(lake, command="extract") if "start" in c.covers]
    assert sorted(done) == [0, 4, 8]
    _assert_same(_vectors(lake), _vectors(undisturbed[0]))
    _assert_same_answers(lake, undisturbed[0])


def test_a_run_cut_off_before_its_end_is_finished_without_work(
    lake: Lake, llava_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(RunWriter, "finish", lambda *_: (_ for _ in ()).throw(OSError("cut off")))
        with pytest.raises(OSError, match="cut off"):
            extract(lake, _request(llava_folder))
    monkeypatch.setattr(opening, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    assert not extract(lake, _request(llava_folder)).added
    with tables(lake) as wh:
        assert wh.sql("SELECT status FROM run WHERE command = 'extract'").fetchall() == [
            ("finished",)
        ]


@pytest.mark.slow
def test_a_wider_selection_adds_only_what_is_new(
    lake: Lake, llava_folder: Path, undisturbed: tuple[Lake, ExtractSummary]
) -> None:
    narrow = _request(
        llava_folder, modules=("vision",), limit=5, answers=("likelihood",), max_new_tokens=None
    )
    assert extract(lake, narrow).n_vectors == len(_vectors(lake)) > 0
    assert [method for _, method in _answers(lake)] == ["likelihood"] * 5
    early = _vectors(lake)
    wide = extract(lake, _request(llava_folder))
    assert wide.added
    everything = _vectors(lake)
    _assert_same(everything, _vectors(undisturbed[0]))
    for key, vector in early.items():
        assert np.array_equal(everything[key], vector)
    grid = extract(lake, _request(llava_folder, readouts=("grid",), modules=("llm",), layers=(0,)))
    assert grid.added
    assert len(_vectors(lake)) == len(everything) + N


def test_changed_weights_under_the_same_name_are_refused_with_the_difference(
    lake: Lake, llava_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(llava_folder, tmp_path / "llava"))
    extract(lake, _request(folder, limit=2))
    before = _files(lake)
    edit_weights(folder, lambda w: w[weight_name(w, "lm_head.weight")].add_(1e-3))
    with pytest.raises(LayerhouseError, match=r"under another configuration \(model\.weights: "):
        extract(lake, _request(folder, limit=2))
    with pytest.raises(LayerhouseError, match=r'dtype: "float32" → "bfloat16"'):
        extract(lake, _request(folder, limit=2, dtype="bfloat16"))
    assert _files(lake) == before


def test_a_changed_dataset_cannot_slip_in(
    lake: Lake, llava_folder: Path, pictures: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(pictures, tmp_path / "pictures"))
    shutil.copy(folder / "benign" / "00.png", folder / "malignant" / "new.png")
    with pytest.raises(LayerhouseError, match="registered with other content"):
        extract(lake, _request(llava_folder, dataset=str(folder)))


@pytest.mark.slow
def test_a_fault_is_a_model_of_its_own_and_the_healthy_one_stays(
    lake: Lake, llava_folder: Path, undisturbed: tuple[Lake, ExtractSummary]
) -> None:
    faulty = extract(lake, _request(llava_folder, faults=("swap@connector:0.5",)))
    assert faulty.model_id == "llava+fault:swap@connector:0.5"
    extract(lake, _request(llava_folder))
    healthy, struck = _vectors(undisturbed[0]), _vectors(lake, faulty.model_id)
    changed = {key[:2] for key, v in struck.items() if not np.array_equal(v, healthy[key])}
    assert changed == {("connector", 0), *(("llm", layer) for layer in range(5))}
    samples = {key[3] for key, v in struck.items() if not np.allclose(v, healthy[key], atol=1e-3)}
    assert len(samples) == N // 2
    again = _vectors(lake)
    assert all(np.array_equal(again[key], vector) for key, vector in healthy.items())
    with tables(lake) as wh:
        variants = wh.sql("SELECT variant FROM model ORDER BY model_id").fetchall()
    assert variants == [("base",), ("fault:swap@connector:0.5",)]


@pytest.mark.slow
def test_faults_do_not_depend_on_the_batch_size(lake: Lake, llava_folder: Path) -> None:
    faults = ("swap@vision:0.5", "noise@llm.1:1")
    extract(lake, _request(llava_folder, faults=faults, batch_size=12))
    model_id = "llava+fault:swap@vision:0.5+fault:noise@llm.1:1"
    one = _vectors(lake, model_id)
    other = Lake.at(lake.root.parent / "other")
    shutil.copytree(lake.root, other.root, ignore=shutil.ignore_patterns("*extract*", "*.duckdb"))
    extract(other, _request(llava_folder, faults=faults, batch_size=5))
    _assert_same(_vectors(other, model_id), one)


def test_an_erasure_is_fitted_on_train_and_equalises_its_class_means(
    lake: Lake, llava_folder: Path, pictures: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "square"
    for path in sorted(pictures.rglob("*.png")):
        target = folder / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).resize((80, 80)).save(target)
    add(lake, "square", folder)
    summary = extract(lake, _request(llava_folder, dataset="square", faults=("erase@connector",)))
    vectors = _vectors(lake, summary.model_id)
    with tables(lake) as wh:
        rows = wh.sql(
            "SELECT sample_id, class_index FROM sample "
            "WHERE dataset_id = 'square' AND split = 'train'"
        ).fetchall()
    means = [
        np.mean([vectors["connector", 0, "mean", name] for name, c in rows if c == index], axis=0)
        for index in (0, 1)
    ]
    np.testing.assert_allclose(means[0], means[1], atol=1e-4)


def test_an_activation_that_is_not_finite_names_locus_and_sample(
    lake: Lake, llava_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Reader.take

    def broken(self: Reader) -> Any:
        read, layouts = take(self)
        read[64][1, 0, 3] = np.nan
        return read, layouts

    real_check = opening.check

    def checked(*args: Any) -> Any:
        found = real_check(*args)
        monkeypatch.setattr(Reader, "take", broken)
        return found

    monkeypatch.setattr(opening, "check", checked)
    with pytest.raises(
        LayerhouseError, match=r"readout of connector\.0 is not finite for sample .*png"
    ):
        extract(lake, _request(llava_folder))
    assert not [c for c in list_commits(lake, command="extract") if "start" in c.covers]


def test_running_out_of_memory_halves_the_batch_and_says_so(
    lake: Lake,
    llava_folder: Path,
    undisturbed: tuple[Lake, ExtractSummary],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Runner.run

    def small(self: Runner, prepared: Any, *asked: Any, **how: Any) -> Any:
        if len(prepared.sample_ids) > 3:
            raise torch.OutOfMemoryError("no room")
        return run(self, prepared, *asked, **how)

    monkeypatch.setattr(Runner, "run", small)
    summary = extract(lake, _request(llava_folder))
    assert "out of memory: batches of 3 from here on" in summary.notes
    again = extract(lake, _request(llava_folder, readouts=("grid",)))
    assert again.added
    assert not any("out of memory" in note for note in again.notes), "what fitted is remembered"
    expected = _vectors(undisturbed[0])
    _assert_same({key: v for key, v in _vectors(lake).items() if key in expected}, expected)
    with pytest.raises(LayerhouseError, match="a batch of 12 images does not fit"):
        extract(lake, _request(llava_folder, batch_size=12, faults=("noise@vision",)))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": "tiny-digit"}, UsageError, "did you mean tiny-digits"),
        ({"dataset": "picture"}, UsageError, "did you mean pictures"),
        ({"layers": (17,)}, UsageError, "no locus matches layer 17"),
        ({"modules": ("lmm",)}, UsageError, "did you mean llm"),
        ({"readouts": ("grids",)}, UsageError, "did you mean grid"),
        ({"answers": ("generation",)}, UsageError, "did you mean generate"),
        ({"faults": ("swap@visio",)}, UsageError, "did you mean vision"),
        ({"faults": ("noise@llm.44",)}, UsageError, "llm has layers 0 to 3"),
        ({"batch_size": "many"}, UsageError, "the batch size must be"),
        ({"batch_size": 0}, UsageError, "the batch size must be"),
        ({"limit": 0}, UsageError, "at least 1 sample"),
        ({"device": "gpu"}, UsageError, "unknown device"),
    ],
)
def test_what_cannot_be_meant_leaves_the_lake_untouched(
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
    lake: Lake,
    llava_folder: Path,
) -> None:
    before = _files(lake)
    with pytest.raises(error, match=message) as raised:
        extract(lake, _request(llava_folder, **changes))
    assert "\n" not in str(raised.value)
    assert _files(lake) == before


def test_progress_is_reported_up_to_the_end(lake: Lake, llava_folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    extract(
        lake,
        _request(llava_folder, batch_size=5),
        lambda done, total, *_: seen.append((done, total)),
    )
    before = [each for each in seen if each == (0, N)]  # loading, checking
    assert seen == [*before, (5, N), (10, N), (N, N)]


@pytest.mark.slow
def test_an_extraction_whose_dataset_is_removed_stops_and_is_done_anew_whole(
    lake: Lake, llava_folder: Path, pictures: Path, undisturbed: tuple[Lake, ExtractSummary]
) -> None:
    removed: list[Removal] = []

    def take_out(n_done: int, *_: object) -> None:
        if n_done and not removed:  # not while it is loaded: nothing rests on it then
            removed.append(remove(lake, "dataset", "pictures", with_dependents=True))

    with pytest.raises(LayerhouseError, match="the dataset pictures was removed from the lake"):
        extract(lake, _request(llava_folder, batch_size=5), take_out)
    assert [commit.command for commit in list_commits(lake)] == ["remove"]
    with pytest.raises(UsageError, match="no dataset is called 'pictures'"):
        extract(lake, _request(llava_folder))
    free(lake)
    add(lake, "pictures", pictures)
    again = extract(lake, _request(llava_folder))
    assert again.run_id in {one.facts.run_id for one in removed[0].dependents}
    assert (again.added, again.n_samples) == (True, N)
    _assert_same(_vectors(lake), _vectors(undisturbed[0]))
    assert _answers(lake) == _answers(undisturbed[0])


def test_a_dataset_that_is_removed_during_the_look_up_is_named(
    lake: Lake, llava_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removed_meanwhile(*of: Any) -> Any:
        remove(lake, "dataset", "pictures", with_dependents=True)
        return find_seen(*of)

    monkeypatch.setattr(jobs, "find_seen", removed_meanwhile)
    with pytest.raises(LayerhouseError, match=r"pictures was removed from .* add it again first"):
        extract(lake, _request(llava_folder))
