"""`datasets fold`: all samples are scored, whole groups in one fold, every class in each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from extract.datasets import AddOptions, add, fold, unite
from extract.datasets.source import ReadOptions
from layerhouse.cli import layerhouse
from warehouse.catalogue import connect, dataset
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.vocabulary import N_REPETITIONS

LABELS = ("cat", "dog", "owl")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """60 pictures of 30 patients, each of one class."""
    rng = np.random.default_rng(0)
    lines = ["image_path,label,group_id"]
    for i in range(60):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(
            tmp_path / f"{i:02d}.png"
        )
        lines.append(f"{i:02d}.png,{LABELS[i // 2 % 3]},patient-{i // 2}")
    path = tmp_path / "images.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def lake(tmp_path: Path, table: Path) -> Lake:
    lake = Lake.at(tmp_path / "lake")
    add(lake, "pets", table)
    return lake


def rows(lake: Lake, query: str) -> list[tuple]:
    with connect(lake) as wh:
        return wh.sql(query).fetchall()


def test_all_samples_are_scored_and_keep_the_split_they_had(lake: Lake) -> None:
    before = dict(rows(lake, "SELECT sample_id, split FROM sample"))
    done = fold(lake, "pets", 5)
    assert (done.n_samples, done.n_groups, done.n_folds) == (60, 30, 5)
    assert done.sizes == (12, 12)
    assert dict(rows(lake, "SELECT sample_id, given_split FROM sample")) == before
    assert rows(lake, "SELECT DISTINCT split FROM sample") == [("test",)]
    assert rows(lake, "SELECT evaluation, n_folds FROM dataset") == [("folds", 5)]


def test_each_repetition_deals_whole_groups_and_every_class_anew(lake: Lake) -> None:
    fold(lake, "pets", 5)
    dealt = rows(
        lake,
        "SELECT repetition, fold, group_id, class_index FROM sample_fold "
        "JOIN sample USING (dataset_id, sample_id)",
    )
    assert len({(r, group) for r, _, group, _ in dealt}) == len({row[:3] for row in dealt})
    for repetition in range(N_REPETITIONS):
        sizes = Counter((own, label) for r, own, _, label in dealt if r == repetition)
        assert set(sizes.values()) == {4}
    ways = {
        tuple(sorted((group, own) for r, own, group, _ in dealt if r == repetition))
        for repetition in range(N_REPETITIONS)
    }
    assert len(ways) == N_REPETITIONS
    with connect(lake) as wh:
        info = dataset(wh, "pets")
    assert info.folds is not None
    first = dict(rows(lake, "SELECT sample_id, fold FROM sample_fold WHERE repetition = 0"))
    assert info.folds[:, 0].tolist() == [first[name] for name in info.samples["sample_id"]]


def test_given_again_nothing_changes_and_other_folds_are_dealt_while_nothing_rests_on_them(
    lake: Lake,
) -> None:
    fold(lake, "pets", 5)
    commits = rows(lake, "SELECT count(*) FROM commit_record")
    assert fold(lake, "pets", 5).sizes == (12, 12)
    assert rows(lake, "SELECT count(*) FROM commit_record") == commits
    assert fold(lake, "pets", 3).sizes == (18, 22)
    assert rows(lake, "SELECT max(fold), count(*) FROM sample_fold") == [(2, 60 * N_REPETITIONS)]
    splits = rows(lake, "SELECT given_split, count(*) FROM sample GROUP BY ALL ORDER BY ALL")
    assert [name for name, _ in splits] == ["test", "train", "val"]


@pytest.mark.slow
def test_the_same_source_added_again_keeps_its_folds(lake: Lake, table: Path) -> None:
    fold(lake, "pets", 5)
    dealt = rows(lake, "FROM sample_fold ORDER BY ALL")
    assert not add(lake, "pets", table).added
    add(lake, "pets", table, AddOptions(title="Pets of the village"))
    assert rows(lake, "FROM sample_fold ORDER BY ALL") == dealt
    facts = rows(lake, "SELECT title, evaluation, n_folds FROM dataset")
    assert facts == [("Pets of the village", "folds", 5)]
    assert rows(lake, "SELECT DISTINCT split FROM sample") == [("test",)]


@pytest.mark.slow
def test_a_new_dataset_takes_the_folds_where_probes_rest_on_the_split(lake: Lake) -> None:
    with RunWriter(lake, RunSpec("baseline", None, "pets", {})) as writer:
        writer.finish()
    with pytest.raises(LayerhouseError, match=r"1 runs rest on the split of pets.*--into NEW"):
        fold(lake, "pets", 5)
    assert fold(lake, "pets", 5, "pets-folds").dataset_id == "pets-folds"
    with pytest.raises(LayerhouseError, match="rest on the split"):
        fold(lake, "pets", 3)
    evaluated = "SELECT dataset_id, evaluation FROM dataset ORDER BY ALL"
    assert rows(lake, evaluated) == [("pets", "split"), ("pets-folds", "folds")]
    assert fold(lake, "pets", 5, "pets-folds").n_samples == 60  # once more, as after a kill
    with pytest.raises(UsageError, match="registered already"):
        fold(lake, "pets", 3, "pets-folds")
    titles = rows(lake, "SELECT title FROM dataset ORDER BY dataset_id")
    assert titles[1] == (f"{titles[0][0]} (pets-folds)",)


def test_what_cannot_be_dealt_is_refused(lake: Lake, table: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 3"):
        fold(lake, "pets", 2)
    with pytest.raises(LayerhouseError, match="30 groups, too few for 31 folds"):
        fold(lake, "pets", 31)
    with pytest.raises(UsageError, match="no dataset 'pts'"):
        fold(lake, "pts", 5)
    few = tmp_path / "few.csv"
    named = table.read_text().splitlines()
    few.write_text("\n".join(line for line in named if "owl" not in line or "patient-2" in line))
    add(lake, "few", few)
    owls = rows(
        lake,
        "SELECT count(DISTINCT group_id) FROM sample WHERE dataset_id = 'few' AND class_index = 2",
    )
    assert owls[0][0] > 2
    fold(lake, "few", 3)
    without = tmp_path / "unlabelled.csv"
    without.write_text("image_path\n00.png\n01.png")
    add(lake, "bare", without, AddOptions(reading=ReadOptions(unlabelled=True)))
    with pytest.raises(LayerhouseError, match="without labels"):
        fold(lake, "bare", 3)
    assert rows(lake, "SELECT count(*) FROM dataset WHERE evaluation = 'folds'") == [(1,)]


@pytest.mark.slow
def test_united_groups_are_dealt_anew(lake: Lake) -> None:
    fold(lake, "pets", 5)
    group_of = dict(rows(lake, "SELECT sample_id, group_id FROM sample"))
    one, other = (next(s for s, g in group_of.items() if g == f"patient-{n}") for n in (0, 3))
    unite(lake, "pets", [(one, other)])
    cut = (
        "SELECT group_id FROM sample_fold JOIN sample USING (dataset_id, sample_id) "
        "GROUP BY group_id, repetition HAVING count(DISTINCT fold) > 1"
    )
    assert rows(lake, cut) == []
    assert rows(lake, "SELECT count(DISTINCT group_id) FROM sample") == [(29,)]


def test_the_command_line_says_how_it_is_evaluated(lake: Lake, table: Path) -> None:
    def told(*typed: str) -> str:
        result = CliRunner().invoke(layerhouse, [*typed, "--lake", str(lake)])
        assert result.exit_code == 0, result.output
        return result.output

    said = "all 60 samples are scored, in 5 folds of 12 to 12 (30 groups, each whole)"
    assert told("datasets", "fold", "pets", "--folds", "5") == f"pets: {said}\n"
    assert told("datasets", "add", "others", str(table), "--folds", "5").endswith(
        f"others: {said}\n"
    )
    assert "Evaluated by 5 folds" in told("datasets", "show", "others")
