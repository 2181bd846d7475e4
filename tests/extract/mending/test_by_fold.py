"""Under folds a repair is one for each fold, and no sample is answered by what learned of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extract.answering import read_part
from extract.datasets import fold
from extract.engines import extract_with_workers
from extract.mending.costs import outlook
from extract.mending.job import MendRequest
from extract.mending.mending import mend
from extract.mending.recipe import MendEpoch, best_epoch
from extract.running.dry_run import outlook as extract_outlook
from extract.running.extraction import extract
from extract.running.opening import open_model
from extract.sharing.job import look_up
from extract.sharing.request import ExtractRequest
from tests.checks import broken
from tests.extract.mending.test_mending import FAULT, REPAIR, SHORT
from tests.tables import tables
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake

PRIOR = REPAIR["answer/prior"]


@pytest.fixture(scope="module")
def mended_lake(
    shades_lake: Path, llava_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A lake with the pictures evaluated by three folds, too; beside it `out`, a repair of them
    whose training was killed behind the first fold, and given again."""
    place = tmp_path_factory.mktemp("by-fold")
    shutil.copytree(shades_lake, place / "lake")
    lake = Lake.at(place / "lake")
    fold(lake, "shades", 3, into="folded")
    request = request_of(llava_folder, place / "out")
    told: list[MendEpoch] = []

    def killed(epoch: MendEpoch) -> None:
        told.append(epoch)
        if [each.number for each in told].count(0) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mend(lake, request, PRIOR, killed)
    folder = request.out / "answer-prior"
    assert [path.name for path in folder.glob("*")] == ["fold-0"]
    before = (folder / "fold-0" / "mend.json").stat().st_mtime_ns
    done = mend(lake, request, PRIOR)
    assert mend(lake, request, PRIOR) == replace(done, was_there=True)
    assert (folder / "fold-0" / "mend.json").stat().st_mtime_ns == before
    assert (done.folder, done.n_parameters) == (folder, 2)
    parts = [json.loads((folder / f"fold-{k}" / "mend.json").read_text()) for k in range(3)]
    best = [best_epoch([MendEpoch(**each) for each in part["history"]]) for part in parts]
    assert done.best.val_score == pytest.approx(sum(each.val_score for each in best) / 3)
    return place


@pytest.fixture
def place(mended_lake: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(mended_lake, tmp_path / "place"))


@pytest.fixture
def folded(place: Path) -> Lake:
    return Lake.at(place / "lake")


@pytest.fixture
def done(place: Path) -> Path:
    """The folder of the repair."""
    return place / "out" / "answer-prior"


def request_of(folder: Path, out: Path, dataset: str = "folded") -> MendRequest:
    return MendRequest(ExtractRequest(str(folder), dataset, faults=(FAULT,)), out, SHORT)


def folds_of(lake: Lake) -> dict[str, int]:
    with tables(lake) as wh:
        rows = wh.sql("SELECT sample_id, fold FROM sample_fold WHERE repetition = 0").fetchall()
    return dict(rows)


def said_by(lake: Lake, model_id: str, dataset: str) -> dict[str, list[float]]:
    with tables(lake) as wh:
        rows = wh.sql(
            "SELECT sample_id, label_logprobs FROM answer "
            "WHERE model_id = $1 AND dataset_id = $2 AND method = 'likelihood'",
            [model_id, dataset],
        ).fetchall()
    return dict(rows)


def record_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "mend.json").read_text())
    return found


def test_what_a_model_of_each_fold_cannot_do_is_refused(
    llava_folder: Path, folded: Lake, done: Path
) -> None:
    request = request_of(llava_folder, done.parent)
    mended = replace(request.extract, adapter=done)
    with pytest.raises(UsageError, match="one model for each fold, whose states no probe"):
        look_up(folded, replace(mended, readouts=("last",)))
    with pytest.raises(UsageError, match="whose states cannot be read or changed together"):
        open_model(look_up(folded, mended))
    with pytest.raises(UsageError, match="a fault of activations strikes one model"):
        look_up(folded, replace(mended, faults=(FAULT, "swap@llm:0.5")))
    with pytest.raises(UsageError, match="is the repair for one fold alone"):
        look_up(folded, replace(mended, adapter=done / "fold-1"))
    with pytest.raises(LayerhouseError, match="of 3 folds, and shades has none"):
        look_up(folded, replace(mended, dataset="shades"))
    fold(folded, "shades", 3, into="elsewhere")
    with pytest.raises(LayerhouseError, match="on the folds of folded, not of elsewhere"):
        look_up(folded, replace(mended, dataset="elsewhere"))
    fold(folded, "folded", 4)
    with pytest.raises(LayerhouseError, match="of 3 folds, and folded has 4"):
        look_up(folded, mended)
    with pytest.raises(LayerhouseError, match="holds a repair of another model, dataset, quest"):
        mend(folded, request, PRIOR)


def test_folds_that_were_dealt_anew_refuse_what_was_learned_of_them(
    llava_folder: Path, folded: Lake, done: Path
) -> None:
    request = request_of(llava_folder, done.parent)
    look_up(folded, replace(request.extract, adapter=done))
    part = next(name for name in record_of(done)["folds"] if name is not None)
    own = record_of(done / part)
    now = next(n for n, number in folds_of(folded).items() if f"fold-{number}" == part)
    own["samples"].append(now)  # as if the deal had put it elsewhere then
    (done / part / "mend.json").write_text(json.dumps(own))
    with pytest.raises(LayerhouseError, match="folds or groups were made anew since"):
        look_up(folded, replace(request.extract, adapter=done))
    with pytest.raises(LayerhouseError, match="folds or groups were made anew since"):
        mend(folded, request, PRIOR)
    own["samples"] = [f"renamed-{name}" for name in own["samples"]]
    images = json.loads((done / part / "training.json").read_text())
    with tables(folded) as wh:
        ((sha256,),) = wh.sql(
            "SELECT sha256 FROM sample WHERE dataset_id = 'folded' AND sample_id = $1", [now]
        ).fetchall()
    (done / part / "mend.json").write_text(json.dumps(own))
    look_up(folded, replace(request.extract, adapter=done))
    images["images"].append(sha256[:16])  # the same file, under another name then
    (done / part / "training.json").write_text(json.dumps(images))
    with pytest.raises(LayerhouseError, match="folds or groups were made anew since"):
        look_up(folded, replace(request.extract, adapter=done))


def test_each_sample_is_scored_by_its_fold_s_part_and_a_few_by_few(
    llava_folder: Path, folded: Lake, done: Path
) -> None:
    """A prior adds a number to each class' log-likelihood, by which its part is known."""
    request = replace(request_of(llava_folder, done.parent).extract, answers=("likelihood",))
    plain = extract(folded, replace(request, answers_only=True))
    mended = replace(request, adapter=done)
    first = extract(folded, replace(mended, limit=1))
    assert (first.n_samples, first.n_vectors) == (1, 0)
    whole = extract(folded, mended)
    assert (whole.n_samples, whole.rejected, whole.model_id) == (40, {}, first.model_id)
    said, bare = (said_by(folded, one.model_id, "folded") for one in (whole, plain))
    added = [
        0
        if name is None
        else read_part(done / name / "answer_part.safetensors")[0]
        .logprobs(torch.zeros(1, 2))[0]
        .numpy()
        for name in record_of(done)["folds"]
    ]
    assert len({float(np.ptp(each)) for each in added}) > 1
    for sample, number in folds_of(folded).items():
        change = np.array(said[sample]) - bare[sample] - added[number]
        assert np.ptp(change) < 1e-4  # up to what both classes share
    assert broken(folded) == set()


def test_a_fold_that_is_gone_is_told_and_trained_as_it_was(
    llava_folder: Path, folded: Lake, done: Path
) -> None:
    request = request_of(llava_folder, done.parent)
    mended = replace(request.extract, adapter=done)
    name = next(name for name in record_of(done)["folds"] if name is not None)
    part = done / name / "answer_part.safetensors"
    before = read_part(part)[0].logprobs(torch.zeros(1, 2))
    shutil.rmtree(done / name)
    told = f"lacks {name}, .* take away {done}/mend.json and what is left"
    with pytest.raises(LayerhouseError, match=told):
        look_up(folded, mended)
    with pytest.raises(LayerhouseError, match=told):
        mend(folded, request, PRIOR)
    (done / "mend.json").unlink()
    epochs: list[MendEpoch] = []
    mend(folded, request, PRIOR, epochs.append)
    assert [epoch.number for epoch in epochs].count(0) == 1
    assert read_part(part)[0].logprobs(torch.zeros(1, 2)) == pytest.approx(before, abs=1e-4)
    look_up(folded, mended)


def test_what_a_repair_of_the_same_name_saw_for_another_dataset_is_not_left_out(
    llava_folder: Path, folded: Lake, done: Path, tmp_path: Path
) -> None:
    request = request_of(llava_folder, tmp_path / "other", "shades")
    other = replace(request.extract, adapter=mend(folded, request, PRIOR).folder)
    first = extract(folded, replace(other, answers_only=True))
    summary = extract(folded, replace(request_of(llava_folder, done).extract, adapter=done))
    assert summary.model_id == first.model_id
    assert len(said_by(folded, summary.model_id, "folded")) == 40


@pytest.mark.slow
@pytest.mark.parametrize("title", ["llm/heads", "connector/finetune"])
def test_each_sample_is_answered_by_the_repair_that_saw_nothing_of_it(
    title: str, llava_folder: Path, folded: Lake, tmp_path: Path
) -> None:
    """Held against each fold's repair as an ordinary one, which answers all samples."""
    request, repair = request_of(llava_folder, tmp_path / "out"), REPAIR[title]
    done = mend(folded, request, repair)
    assert mend(folded, request, repair) == replace(done, was_there=True)
    mine = folds_of(folded)
    record = json.loads((done.folder / "mend.json").read_text())
    for number in range(3):
        part = json.loads((done.folder / f"fold-{number}" / "mend.json").read_text())
        (learned,) = {mine[name] for name in part["samples"]} - {(number + 1) % 3}
        assert learned == (number + 2) % 3
        assert record["folds"][number] in (None, f"fold-{number}")
    summary = extract(folded, replace(request.extract, adapter=done.folder))
    assert summary.n_samples == 40
    assert not summary.rejected
    said = said_by(folded, summary.model_id, "folded")
    assert len(said) == 40
    assert not extract(folded, replace(request.extract, adapter=done.folder)).added
    answered = 0
    for number, name in enumerate(record["folds"]):
        other = Lake.at(tmp_path / f"lake-{number}")
        shutil.copytree(folded.root, other.root)
        alone = replace(request.extract, dataset="shades", answers_only=True)
        if name is not None:
            folder = tmp_path / f"alone-{number}"
            shutil.copytree(done.folder / name, folder)
            (folder / "training.json").unlink()  # so that it answers all samples
            own = json.loads((folder / "mend.json").read_text())
            del own["fold"]
            (folder / "mend.json").write_text(json.dumps(own))
            alone = replace(alone, adapter=folder)
        expected = said_by(other, extract(other, alone).model_id, "shades")
        for sample in (sample for sample, own in mine.items() if own == number):
            np.testing.assert_allclose(said[sample], expected[sample], atol=1e-5)
            answered += 1
    assert answered == 40
    assert broken(folded) == set()


@pytest.mark.slow
def test_two_workers_do_what_one_does(llava_folder: Path, folded: Lake, tmp_path: Path) -> None:
    request = request_of(llava_folder, tmp_path / "out")
    shuffled = replace(request, recipe=replace(SHORT, shuffled=True))
    plan = outlook(folded, shuffled, [PRIOR])
    assert (plan.n_folds, plan.n_train + plan.n_val < 40) == (3, True)
    mended = replace(request.extract, adapter=mend(folded, shuffled, PRIOR).folder)
    planned = extract_outlook(folded, replace(mended, limit=30))
    assert (planned.n_samples, planned.n_vectors, planned.answers) == (30, 0, ("likelihood",))
    other = Lake.at(tmp_path / "other")
    shutil.copytree(folded.root, other.root)
    name = extract(folded, mended).model_id
    assert name.endswith("+mend:answer/prior/shuffled_labels+fault:damage@connector:1")
    assert extract_with_workers(other, mended, 2).n_samples == 40
    expected, said = said_by(folded, name, "folded"), said_by(other, name, "folded")
    assert expected.keys() == said.keys()
    for sample, scores in expected.items():
        np.testing.assert_allclose(said[sample], scores, atol=1e-5)
