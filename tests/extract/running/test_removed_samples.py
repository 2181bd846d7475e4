"""A sample that was removed from a dataset is not extracted again, and leaves no other out."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from extract.datasets import add
from extract.datasets.registration import registered
from extract.running.extraction import extract
from extract.sharing import look_up
from tests.checks import broken
from tests.extract.running.test_agent import _request, _vectors
from tests.tables import tables
from warehouse.errors import LayerhouseError
from warehouse.lake import free, remove_samples, removed_samples, still_held
from warehouse.lake.lake import Lake
from warehouse.vocabulary import GONE


@pytest.fixture
def own(pictures: Path, lake: Lake, tmp_path: Path) -> Path:
    """A copy of the pictures, registered as `own`."""
    shutil.copytree(pictures, tmp_path / "own")
    add(lake, "own", tmp_path / "own")
    return tmp_path / "own"


@pytest.mark.slow
@pytest.mark.usefixtures("own")
def test_extraction_goes_on_without_it(lake: Lake, llava_folder: Path) -> None:
    request = _request(llava_folder, dataset="own", limit=6)
    extract(lake, request)
    before, order = _vectors(lake), look_up(lake, request).order
    removed = [order[3], look_up(lake, _request(llava_folder, dataset="own")).order[9]]
    remove_samples(lake, "own", removed)
    job = look_up(lake, _request(llava_folder, dataset="own"))
    assert (job.order[3], job.order[9], job.order[:3]) == (GONE, GONE, order[:3])
    assert not extract(lake, request).added
    summary = extract(lake, _request(llava_folder, dataset="own"))
    assert summary.added
    assert summary.rejected == {}
    with tables(lake) as wh:
        rows = wh.sql("SELECT count(DISTINCT sample_id) FROM answer").fetchall()
        (held,) = wh.sql("SELECT n_samples FROM dataset WHERE dataset_id = 'own'").fetchall()
    assert rows == [held] == [(len(job.sample_ids),)]
    after = _vectors(lake)
    for name, vector in before.items():
        if name[-1] in removed:
            assert name not in after
        else:
            np.testing.assert_allclose(after[name], vector, atol=1e-5)
    free(lake)
    assert list(still_held(lake, removed_samples(lake))) == []
    assert broken(lake) == set()
    assert not extract(lake, _request(llava_folder, dataset="own")).added


@pytest.mark.parametrize("is_gone", [True, False])
def test_the_same_source_adds_nothing_back(lake: Lake, own: Path, is_gone: bool) -> None:
    """Whether the image is still among the files or not."""
    known = registered(lake)["own"]
    with tables(lake) as wh:
        (removed, uri), *_ = wh.sql(
            "SELECT sample_id, uri FROM sample WHERE dataset_id = 'own' ORDER BY ALL"
        ).fetchall()
    remove_samples(lake, "own", [removed])
    if is_gone:
        Path(uri).unlink()
    try:
        again = add(lake, "own", own)
    except LayerhouseError as error:  # splits were drawn anew, so that others moved
        assert (is_gone, "registered with other content" in str(error)) == (True, True)  # noqa: PT017
        return
    assert not again.added
    assert registered(lake)["own"].fingerprint == known.fingerprint
    assert (
        any("removed from the dataset are left out" in said for said in again.warnings) != is_gone
    )
    with tables(lake) as wh:
        assert removed not in {
            row[0]
            for row in wh.sql("SELECT sample_id FROM sample WHERE dataset_id = 'own'").fetchall()
        }


def test_another_title_does_not_bring_it_back(lake: Lake, own: Path) -> None:
    from extract.datasets import AddOptions

    with tables(lake) as wh:
        ((removed,), *_) = wh.sql(
            "SELECT sample_id FROM sample WHERE dataset_id = 'own' ORDER BY ALL"
        ).fetchall()
    remove_samples(lake, "own", [removed])
    assert add(lake, "own", own, AddOptions(title="Another")).added
    free(lake)
    assert list(still_held(lake, removed_samples(lake))) == []
    with tables(lake) as wh:
        rows = wh.sql("SELECT title, n_samples FROM dataset WHERE dataset_id = 'own'").fetchall()
        (count,) = wh.sql("SELECT count(*) FROM sample WHERE dataset_id = 'own'").fetchall()
    assert rows == [("Another", *count)]
