"""Samples that a model saw in training are left out of what it is scored on, and said to be."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from analysis.probes.activations import read_cells, read_vectors
from extract.datasets import add
from extract.datasets.folding import fold
from extract.models.sources import ModelSource
from extract.running import extraction
from extract.running.extraction import Description, describe, extract
from extract.sharing.seen import NOTHING_SEEN, Seen, find_seen, images_hash
from tests.checks import broken
from tests.extract.running.test_agent import _request
from tests.tables import tables
from warehouse.catalogue.refreshing import connect
from warehouse.catalogue.samples import DatasetInfo, dataset
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import find_runs, remove
from warehouse.lake.lake import Lake
from warehouse.status import status
from warehouse.vocabulary import SAYS_SEEN, SEEN_IN_TRAINING, Cell

NAMES = [f"{index:02}.png" for index in range(12)]
NO_RECORD = ModelSource("none", Path("nowhere"))
DATASETS = ("split-scans", "beside")
PATIENTS = [f"p{index // 2}" for index in range(10)] + 2 * ['Roe, "J"']


def names(first: int, stop: int) -> set[str]:
    return set(NAMES[first:stop])


@pytest.fixture
def scans(lake: Lake, pictures: Path, tmp_path: Path) -> Lake:
    """The pictures of six patients, two each, in folds; of the first three it says `pretrained`."""
    for path in pictures.rglob("*.png"):
        shutil.copy(path, tmp_path)
    rows = pl.DataFrame(
        {
            "image_path": NAMES,
            "label": ["benign", "malignant"] * 6,
            "split": ["train"] * 6 + ["val"] * 2 + ["test"] * 4,
            "group_id": PATIENTS,
            "pretrained": [True] * 3 + [False] * 9,
            "age": ["40"] * 12,
        }
    )
    rows.write_csv(tmp_path / "scans.csv")
    add(lake, "scans", tmp_path / "scans.csv")
    fold(lake, "scans", 3)
    return lake


def info_of(lake: Lake) -> DatasetInfo:
    with tables(lake) as wh:
        return dataset(wh, "scans")


def seen(lake: Lake, *given: str, source: ModelSource = NO_RECORD) -> Seen:
    with tables(lake) as wh:
        return find_seen(wh, dataset(wh, "scans"), source, given, source.name)


@pytest.fixture
def bringing(tmp_path: Path) -> Any:
    """The source of a model whose folder brings a record."""

    def source(record: dict[str, Any]) -> Any:
        folder = tmp_path / "brought"
        folder.mkdir(exist_ok=True)
        (folder / "training.json").write_text(json.dumps(record))
        return ModelSource("brought", folder)

    return source


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("00.png\n01.png\n05.png\n", names(0, 2) | names(4, 6)),  # whole patients
        ("p1\n\np4\n", names(2, 4) | names(8, 10)),
        ('Roe, "J"\n00.png,40\n', names(0, 2) | names(10, 12)),
        ("age,group_id\n1,p0\n", names(0, 2)),
        ("\ufeffsample_id,age\n11.png,40\n", names(10, 12)),
    ],
)
def test_a_file_names_samples_or_groups(
    scans: Lake, tmp_path: Path, text: str, left_out: set[str]
) -> None:
    path = tmp_path / "seen.csv"
    path.write_text(text, encoding="utf-8")
    found = seen(scans, str(path))
    assert found.sample_ids == left_out
    assert found.notes[0].startswith(f"{len(left_out)} of 12 samples are left out")
    assert str(path) in found.notes[0]


def test_a_split_that_was_there_before_folds_and_an_attribute_name_samples(scans: Lake) -> None:
    assert seen(scans, "train").sample_ids == names(0, 6)
    assert seen(scans, "train", "val").sample_ids == names(0, 8)
    assert seen(scans, "pretrained").sample_ids == names(0, 4)  # the patient of 02 has 03 too


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("00.png\nx7\nx8\n", r"2 of 3 names .* first 'x7'"),
        ("group_id\n00.png\n", "1 of 1 names"),
        ("sample_id\n", "0 of 0 names"),
        ("\n".join(NAMES[::2]), "saw all 12 samples"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    scans: Lake, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "seen.txt").write_text(text)
    with pytest.raises(LayerhouseError, match=said):
        seen(scans, str(tmp_path / "seen.txt"))


def test_what_names_nothing_is_refused(scans: Lake, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean pretrained"):
        seen(scans, "pretraned")
    with pytest.raises(UsageError, match="age of scans is '40'"):
        seen(scans, "age")
    (tmp_path / "seen.bin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LayerhouseError, match="no table or list"):
        seen(scans, str(tmp_path / "seen.bin"))
    (tmp_path / "other.json").write_text(json.dumps({"images": ["0" * 16]}))
    with pytest.raises(LayerhouseError, match="names no image of scans"):
        seen(scans, str(tmp_path / "other.json"))


def test_a_record_is_about_files_whatever_the_samples_are_called(
    scans: Lake, bringing: Any
) -> None:
    rows = info_of(scans).samples
    hashes = dict(rows.select("sample_id", "sha256").iter_rows())
    by_files = bringing({"dataset": "elsewhere", "images": [hashes["07.png"][:16], "ab" * 8]})
    assert seen(scans, source=by_files).sample_ids == names(6, 8)
    own = {"n": 6, "sha256": images_hash(hashes[name] for name in NAMES[:6])}
    by_splits = bringing({"splits_used": {"train": own, "val": {"n": 2, "sha256": "0" * 64}}})
    assert seen(scans, source=by_splits).sample_ids == names(0, 6)
    assert seen(scans, source=replace(by_splits, random_seed=0)) == NOTHING_SEEN
    assert seen(scans, source=bringing({"dataset": "scans", "epochs": 3})) == NOTHING_SEEN
    for images in ({"a": 1}, [1], ["abcdef"], ["x" * 16]):
        with pytest.raises(LayerhouseError, match="images is no list of texts"):
            seen(scans, source=bringing({"images": images}))


def test_a_record_whose_splits_are_of_other_images_is_named(scans: Lake, bringing: Any) -> None:
    used = {"train": {"n": 6, "sha256": "0" * 64}}
    phrases = ["benign", "malignant"]
    for own in ({"dataset": "scans"}, {"dataset": "older", "phrases": phrases}):
        found = seen(scans, source=bringing({"splits_used": used, **own}))
        assert not found.known
        assert "that they were the train of a dataset" in found.notes[0]
    assert not seen(scans, source=bringing({"splits_used": used, "dataset": "digits"})).notes


def test_an_extraction_leaves_them_out_and_is_whole(
    scans: Lake, llava_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "seen.txt").write_text("00.png\n05.png\n")
    asked = _request(
        llava_folder, dataset="scans", trained_on=[str(tmp_path / "seen.txt")], answers=["generate"]
    )
    summary = extract(scans, asked)
    left = names(0, 2) | names(4, 6)
    assert (summary.n_samples, summary.rejected) == (8, {})
    assert summary.notes[0].startswith("4 of 12 samples are left out")
    with tables(scans) as wh:
        rejected = wh.sql("SELECT sample_id, reason FROM rejected_sample").fetchall()
        for table in ("activation", "answer"):
            held = wh.sql(f"SELECT DISTINCT sample_id FROM {table}").fetchall()
            assert {name for (name,) in held} == set(NAMES) - left
    assert dict(rejected) == dict.fromkeys(left, SEEN_IN_TRAINING)
    assert not extract(scans, asked).added
    # what was said once need not be said again, and cannot be said otherwise
    again = extract(scans, replace(asked, trained_on=()))
    assert (again.added, again.n_samples) == (False, 8)
    with pytest.raises(LayerhouseError, match=r"another configuration .*trained_on"):
        extract(scans, replace(asked, trained_on=["train"]))


def test_what_no_verdict_rests_on_is_taken_whatever_the_model_saw(lake: Lake) -> None:
    with tables(lake) as wh:
        info = dataset(wh, "pictures")
        found = find_seen(wh, info, NO_RECORD, ["train", "val"], "none")
        assert (found.sample_ids, found.notes) == (frozenset(), ())
        others = info.samples.filter(pl.col("split") != "test")
        assert found.known == set(others["sample_id"])  # which may be scored some day
        test = info.samples.filter(split="test")
        with pytest.raises(LayerhouseError, match=f"saw all {len(test)} samples"):
            find_seen(wh, info, NO_RECORD, ["test"], "none")


@pytest.fixture
def split_scans(scans: Lake) -> Lake:
    """The same pictures, evaluated by their split; of its test images the model saw none."""
    add(scans, "split-scans", Path(str(info_of(scans).samples["uri"][0])).parent / "scans.csv")
    return scans


def held(lake: Lake, table: str) -> set[str]:
    """The samples of which a table or view has rows."""
    with connect(lake) as wh:
        rows = wh.sql(
            f"SELECT DISTINCT sample_id FROM {table} WHERE dataset_id = 'split-scans'"
        ).fetchall()
        return {name for (name,) in rows}


def test_what_was_seen_is_no_evidence_once_a_dataset_is_folded(
    split_scans: Lake, llava_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "seen.txt").write_text("01.png\n")  # of train, as 00.png of the same patient
    left = set(NAMES) - names(0, 2)
    asked = _request(llava_folder, dataset="split-scans", answers=["generate"], readouts=["mean"])
    asked = replace(asked, trained_on=[str(tmp_path / "seen.txt")])
    assert extract(split_scans, asked).n_samples == 12
    assert held(split_scans, "seen_sample") == names(0, 2)
    assert held(split_scans, "unseen_answer") == set(NAMES)
    fold(split_scans, "split-scans", 3)
    assert held(split_scans, "answer") == set(NAMES)
    assert held(split_scans, "left_out_sample") == names(0, 2)
    assert held(split_scans, "unseen_answer") == held(split_scans, "diagnosed_answer") == left
    # more of the same model is of what it did not see alone, without being told again
    more = extract(split_scans, replace(asked, readouts=["last"], trained_on=()))
    assert (more.added, more.n_samples) == (True, 10)
    with tables(split_scans) as wh:
        cells, samples = read_cells(wh, more.model_id, "split-scans")
        vectors = read_vectors(wh, more.model_id, "split-scans", [Cell("llm", 0, "mean")], samples)
        one = wh.vectors(more.model_id, "split-scans", "llm", 0, "mean")
    assert {cell.readout for cell in cells} == {"mean", "last"}
    assert list(samples.ids) == NAMES[2:]
    assert samples.n_registered == 10  # so that nobody is told that some are missing
    assert np.array_equal(vectors[0].numpy(), one[1][2:])


@pytest.mark.slow
def test_a_variant_saw_what_its_model_saw(split_scans: Lake, llava_folder: Path) -> None:
    """Of the same images in a dataset made beside the first, too."""
    asked = _request(llava_folder, dataset="split-scans", answers=["generate"], readouts=["mean"])
    fold(split_scans, "split-scans", 3, into="beside")
    own = extract(split_scans, replace(asked, trained_on=["train"]))
    fold(split_scans, "split-scans", 3)
    swapped = replace(asked, faults=["swap@vision:0.5"])
    struck, beside = (extract(split_scans, replace(swapped, dataset=of)) for of in DATASETS)
    assert (own.n_samples, struck.n_samples, beside.n_samples) == (12, 6, 6)
    assert "the lake's record on split-scans" in beside.notes[0]
    assert not extract(split_scans, replace(swapped, dataset="beside")).added


@pytest.mark.slow
def test_folds_want_to_know_what_models_saw(
    split_scans: Lake, llava_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs of earlier versions do not say, until they are asked for once more. Where they were
    folded already status names that command, and where the images were seen as those of another
    dataset, the check does."""
    asked = _request(llava_folder, dataset="split-scans", answers=["generate"], readouts=["mean"])

    def of_before(*of: Any) -> Description:
        found = describe(*of)
        del found.covers[SAYS_SEEN]
        return found

    with monkeypatch.context() as before:
        before.setattr(extraction, "describe", of_before)
        extract(split_scans, asked)
        extract(split_scans, replace(asked, dataset="scans"))  # folded by such a version
    assert [pair.dataset_id for pair in status(split_scans).pairs if pair.is_silent] == ["scans"]
    with pytest.raises(LayerhouseError, match=r"1 models .* first llava.*once more"):
        fold(split_scans, "split-scans", 3)
    again = extract(split_scans, replace(asked, trained_on=["train"]))
    assert not again.added
    assert "scored_nowhere" in broken(split_scans)  # of the same images in scans all are scored
    (run,) = find_runs(split_scans, "extract", dataset_id="scans")
    remove(split_scans, "run", run["run_id"])
    assert extract(split_scans, replace(asked, dataset="scans")).n_samples == 6
    assert not broken(split_scans) & {"scored_nowhere"}
    assert not any(pair.is_silent for pair in status(split_scans).pairs)
    assert held(split_scans, "seen_sample") == names(0, 6)
    assert not extract(split_scans, asked).added
    fold(split_scans, "split-scans", 3)
    assert extract(split_scans, asked).n_samples == 6
