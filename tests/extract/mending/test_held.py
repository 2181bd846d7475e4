"""A folder and a lake hold one training of a repair: another is told before it costs anything."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import layerhouse
from extract.datasets import add
from extract.mending.costs import outlook
from extract.mending.job import COMMAND, look_up_mend, training_of
from extract.mending.kinds import REPAIRS
from extract.mending.mending import mend
from extract.mending.recipe import MendEpoch
from extract.mending.unfinished import Unfinished
from extract.running.extraction import extract
from extract.sharing.job import look_up
from tests.extract.mending.test_mending import SHORT, request_of
from warehouse.errors import LayerhouseError
from warehouse.files import has_writer, passing_folder
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter

REPAIR = {repair.title: repair for repair in REPAIRS}
FINETUNE = REPAIR["connector/finetune"]


def test_of_two_recipes_in_one_folder_the_later_is_told_while_the_other_is_trained(
    llava_folder: Path, lake: Lake, tmp_path: Path
) -> None:
    request = request_of(llava_folder, tmp_path / "out", replace(SHORT, epochs=1, images=4))
    work = look_up_mend(lake, request, FINETUNE)
    mine = work.unfinished
    recipe = {"recipe": mine.identity["recipe"] | {"seed": 5}}
    other = Unfinished(mine.path, {**mine.identity, **recipe})
    told: list[MendEpoch] = []
    work.folder.parent.mkdir()
    with passing_folder(work.folder):  # somebody else's, who lives
        assert has_writer(work.folder)
        other.write({"weight/x": torch.ones(2)}, {"history": []})
        with pytest.raises(LayerhouseError, match=r"another .* trains .*\(recipe.seed: 0 → 5\)"):
            mend(lake, request, FINETUNE, told.append)
        assert not told
    assert not has_writer(work.folder)  # what a killed one left is no reason

    def overtaken(epoch: MendEpoch) -> None:
        told.append(epoch)
        other.write({"weight/x": torch.ones(2)}, {"history": []})

    with pytest.raises(LayerhouseError, match="another `layerhouse mend` trains"):
        mend(lake, request, FINETUNE, overtaken)
    assert [epoch.number for epoch in told] == [0]
    assert other.other() is None  # what the other one kept is there


def test_what_the_lake_holds_of_another_training_is_told_before_it_is_trained(
    llava_folder: Path, lake: Lake, tmp_path: Path
) -> None:
    request = request_of(llava_folder, tmp_path / "out")
    job = look_up(lake, request.extract)
    model_id = f"{job.source.name}+mend:connector/finetune+fault:damage@connector:1"
    training = training_of(job, replace(SHORT, seed=3))
    spec = RunSpec(COMMAND, model_id, job.dataset_id, {"training": training}, job.device)
    with RunWriter(lake, spec, frozenset(lake.store.commit_names())) as writer:
        writer.finish()
    with pytest.raises(LayerhouseError, match=r"trained otherwise \(seed: 3 → 0\); train it so"):
        mend(lake, request, FINETUNE)
    look_up_mend(lake, replace(request, recipe=replace(SHORT, seed=3)), FINETUNE)
    look_up_mend(lake, request, REPAIR["llm/lora"])


def test_a_repair_of_another_dataset_that_was_run_on_this_one_is_told_before_it_is_trained(
    llava_folder: Path, shades: Path, lake: Lake, tmp_path: Path
) -> None:
    add(lake, "elsewhere", shutil.copytree(shades, tmp_path / "elsewhere"))
    probe, recipe = REPAIR["answer/probe"], replace(SHORT, epochs=1, images=8)
    here = request_of(llava_folder, tmp_path / "here", recipe)
    there = replace(here, out=tmp_path / "there", recipe=replace(recipe, images=12))
    there = replace(there, extract=replace(here.extract, dataset="elsewhere"))
    run = extract(lake, replace(here.extract, adapter=mend(lake, there, probe).folder))
    told: list[MendEpoch] = []
    with pytest.raises(LayerhouseError, match="with a repair that does not lie in") as caught:
        mend(lake, here, probe, told.append)
    assert not told
    with pytest.raises(LayerhouseError, match="with a repair that does not lie in"):
        outlook(lake, here, [probe])
    shutil.copytree(lake.root, tmp_path / "with-none")
    removal = f"`layerhouse runs remove {run.run_id}`"
    assert str(caught.value).endswith(f"else take it out with {removal}")
    layerhouse.runs.remove(run.run_id, lake=lake)
    own = replace(here.extract, adapter=mend(lake, here, probe).folder)
    assert extract(lake, own).model_id == run.model_id
    look_up_mend(lake, here, probe)
    with pytest.raises(LayerhouseError, match="does not lie in"):  # though this one is trained
        look_up_mend(Lake.at(tmp_path / "with-none"), here, probe)
    look_up_mend(lake, replace(here, out=tmp_path / "new"), REPAIR["answer/prior"])


def _weights(folder: Path) -> None:
    (path,) = folder.glob("*.safetensors")
    save_file({name: weight + 1 for name, weight in load_file(path).items()}, path)


def _scale(folder: Path) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"lora_alpha": 64}))


@pytest.mark.parametrize(
    ("title", "change"), [("answer/prior", _weights), ("llm/lora", _weights), ("llm/lora", _scale)]
)
def test_a_repair_that_was_changed_by_hand_is_none(
    title: str,
    change: Callable[[Path], None],
    llava_folder: Path,
    lake: Lake,
    tmp_path: Path,
) -> None:
    short = replace(SHORT, epochs=1, images=4)
    request = request_of(llava_folder, tmp_path / "out", short)
    done = mend(lake, request, REPAIR[title])
    mended = replace(request.extract, adapter=done.folder)
    look_up(lake, mended)
    record = json.loads((done.folder / "mend.json").read_text())
    change(done.folder)
    with pytest.raises(LayerhouseError, match="was changed since it was trained"):
        look_up(lake, mended)
    del record["fingerprint"]  # as earlier versions wrote it
    (done.folder / "mend.json").write_text(json.dumps(record))
    look_up(lake, mended)
