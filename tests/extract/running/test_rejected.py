"""Images that cannot be used are named and counted; everything else is as it would have been."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from extract.datasets import add
from extract.faults.donors import choose_donors
from extract.faults.spec import parse_fault
from extract.running.dry_run import outlook
from extract.running.extraction import ExtractRequest, extract
from layerhouse.cli.extract import command
from tests.extract.running.test_agent import (
    N,
    _answers,
    _assert_same,
    _assert_same_answers,
    _files,
    _request,
    _vectors,
)
from tests.tables import tables
from warehouse.catalogue.refreshing import refresh
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake


@pytest.fixture
def own_pictures(pictures: Path, lake: Lake, tmp_path: Path) -> Path:
    """A copy of the pictures that a test may damage, registered as `own`."""
    folder = tmp_path / "own"
    for path in sorted(pictures.rglob("*.png")):
        target = folder / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).save(target)
    add(lake, "own", folder)
    return folder


def _own(folder: Path, **changes: object) -> ExtractRequest:
    return _request(folder, dataset="own", **changes)


def _rejected(lake: Lake) -> list[tuple[str, str]]:
    with tables(lake) as wh:
        return wh.sql("SELECT sample_id, reason FROM rejected_sample ORDER BY ALL").fetchall()


def test_the_run_goes_on_without_images_that_fail(
    lake: Lake, llava_folder: Path, own_pictures: Path
) -> None:
    extract(lake, _request(llava_folder))
    whole = _vectors(lake)
    (own_pictures / "benign" / "02.png").write_bytes(b"no image")
    (own_pictures / "malignant" / "07.png").unlink()
    summary = extract(lake, _own(llava_folder, batch_size=5))
    bad = {"benign/02.png", "malignant/07.png"}
    assert set(summary.rejected) == bad
    assert summary.n_samples == N - 2
    found = dict(_rejected(lake))
    assert found == summary.rejected
    assert "cannot be decoded" in found["benign/02.png"]
    assert "does not exist" in found["malignant/07.png"]
    with tables(lake) as wh:
        rows = wh.sql(
            "SELECT DISTINCT sample_id FROM activation WHERE dataset_id = 'own'"
        ).fetchall()
        answered = wh.sql("SELECT count(*) FROM answer WHERE dataset_id = 'own'").fetchall()
    assert {name for (name,) in rows} == {key[3] for key in whole} - bad
    assert answered == [(2 * (N - 2),)]


@pytest.mark.slow
def test_a_second_time_nothing_is_done_and_the_rejected_are_named_again(
    lake: Lake, llava_folder: Path, own_pictures: Path
) -> None:
    (own_pictures / "benign" / "02.png").write_bytes(b"no image")
    first = extract(lake, _own(llava_folder))
    before = _files(lake)
    second = extract(lake, _own(llava_folder))
    assert not second.added
    assert second.rejected == first.rejected
    assert _files(lake) == before


@pytest.mark.slow
def test_a_higher_bound_tries_again_what_a_lower_one_rejected(
    lake: Lake, llava_folder: Path
) -> None:
    low = extract(lake, _request(llava_folder, max_pixels=64 * 90))
    assert len(low.rejected) == N // 2
    assert all("100 × 80 pixels" in reason for reason in low.rejected.values())
    early = _vectors(lake)
    high = extract(lake, _request(llava_folder))
    assert not high.rejected
    everything = _vectors(lake)
    assert len(everything) == 2 * len(early) == high.n_vectors
    assert refresh(lake, force=True)
    other = Lake.at(lake.root.parent / "other")
    add(other, "pictures", _folder_of(lake))
    extract(other, _request(llava_folder))
    _assert_same(everything, _vectors(other))
    _assert_same_answers(lake, other)


def _folder_of(lake: Lake) -> Path:
    with tables(lake) as wh:
        ((uri,),) = wh.sql("SELECT min(uri) FROM sample").fetchall()
    return Path(uri).parents[1]


def test_a_dataset_without_one_readable_image_is_an_error(lake: Lake, llava_folder: Path) -> None:
    with pytest.raises(LayerhouseError, match=r"no image of pictures can be read: .*more than the"):
        extract(lake, _request(llava_folder, max_pixels=10))


@pytest.mark.slow
def test_donors_that_fail_reject_the_samples_they_stand_in_for(
    lake: Lake, llava_folder: Path, own_pictures: Path
) -> None:
    with tables(lake) as wh:
        samples = wh.sql(
            "SELECT sample_id, split, class_index FROM sample WHERE dataset_id = 'own'"
        ).fetchall()
    donors = choose_donors(parse_fault("swap@connector:1"), samples)
    taker, donor = next(iter(donors.items()))
    (own_pictures / donor).write_bytes(b"no image")
    asked = _own(
        llava_folder,
        faults=("swap@connector:1",),
        modules=("connector",),
        answers=(),
        max_new_tokens=None,
    )
    summary = extract(lake, asked)
    assert set(summary.rejected) == {donor, *(s for s, d in donors.items() if d == donor)}
    assert f"{donor} cannot be decoded" in summary.rejected[taker]


@pytest.mark.slow
def test_worker_processes_change_no_number(
    lake: Lake, llava_folder: Path, own_pictures: Path, tmp_path: Path
) -> None:
    (own_pictures / "benign" / "02.png").write_bytes(b"no image")
    other = Lake.at(shutil.copytree(lake.root, tmp_path / "other"))
    faults = ("swap@connector:0.5",)
    one = extract(lake, _own(llava_folder, faults=faults, batch_size=5, preparers=2))
    two = extract(other, _own(llava_folder, faults=faults, batch_size=5, preparers=0))
    assert one.rejected == two.rejected != {}
    found, expected = _vectors(lake, one.model_id), _vectors(other, two.model_id)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[key], vector) for key, vector in expected.items())
    assert _answers(lake, one.model_id) == _answers(other, two.model_id)


def test_a_run_notes_what_it_took(lake: Lake, llava_folder: Path) -> None:
    summary = extract(lake, _request(llava_folder))
    with tables(lake) as wh:
        rows = wh.sql(
            "SELECT seconds, n_images, n_bytes FROM run WHERE command = 'extract'"
        ).fetchall()
        written = wh.sql(
            "SELECT sum(n_bytes) FROM shard WHERE table_name IN ('activation', 'answer')"
        ).fetchall()
    ((seconds, n_images, n_bytes),) = rows
    taken = json.loads(seconds)
    assert n_images == N
    assert n_bytes >= written[0][0] > 0
    assert taken.keys() == summary.seconds.keys()
    for work, spent in taken.items():
        assert spent == pytest.approx(summary.seconds[work], abs=0.02)


@pytest.mark.slow
def test_a_dry_run_tells_what_there_is_to_do_and_writes_nothing(
    lake: Lake, llava_folder: Path
) -> None:
    before = _files(lake)
    plan = outlook(lake, _request(llava_folder))
    assert _files(lake) == before
    summary = extract(lake, _request(llava_folder))
    assert plan.n_vectors == summary.n_vectors
    assert plan.n_samples == summary.n_samples == N
    assert set(plan.loci) == {"vision", "connector", "llm"}
    assert plan.loci["connector"] == ["0 (mean, grid)"]
    with tables(lake) as wh:
        ((n_bytes,),) = wh.sql(
            "SELECT sum(n_bytes) FROM shard WHERE table_name = 'activation'"
        ).fetchall()
    assert plan.n_bytes == pytest.approx(n_bytes, rel=0.1)
    assert plan.seconds > 0
    assert outlook(lake, _request(llava_folder)).n_vectors == 0


def test_the_command_fails_on_rejected_images_unless_told_to_skip_them(
    lake: Lake, llava_folder: Path, own_pictures: Path
) -> None:
    (own_pictures / "benign" / "02.png").write_bytes(b"no image")
    asked = ["--model", str(llava_folder), "--dataset", "own", "--lake", str(lake.root)]
    asked += ["--module", "connector", "--answer", "likelihood"]
    failed = CliRunner().invoke(command, asked)
    assert isinstance(failed.exception, LayerhouseError)
    assert "1 of 12 samples were rejected" in str(failed.exception)
    accepted = CliRunner().invoke(command, [*asked, "--skip-bad"])
    assert accepted.exit_code == 0
    assert "benign/02.png: " in accepted.output
