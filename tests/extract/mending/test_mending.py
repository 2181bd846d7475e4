"""A repair trains one stage alone, and what it saved is what extract then runs."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from extract.anatomy.loci import discover
from extract.anatomy.weights import stage_weights
from extract.datasets import add
from extract.mending.job import Mended, MendRequest
from extract.mending.kinds import REPAIRS, repairs_of
from extract.mending.mending import mend
from extract.mending.recipe import MendEpoch, MendRecipe, best_epoch, fruitless_epochs
from extract.mending.repair import Repair
from extract.models.loading import load
from extract.models.sources import locate
from extract.patching import PatchRequest, patch
from extract.running.extraction import extract
from extract.sharing.job import look_up
from extract.sharing.request import ExtractRequest
from tests.checks import broken
from tests.extract.conftest import FamilyFolders
from tests.extract.tiny_families import FAMILIES
from tests.tables import tables
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake
from warehouse.vocabulary import CONNECTOR, STAGES

SHORT = MendRecipe(epochs=3, batch_size=4, learning_rate=1e-3)
FAULT = "damage@connector:1"
REPAIR = {repair.title: repair for repair in REPAIRS}
QUICK = ("llava-answer/label-rows", "llava-connector/finetune", "llava-llm/heads")
"""One that is fitted at once, one that is learned step by step, one that changes no weight."""
PARTS = ("answer/prior", "answer/probe", "llm/heads")


def request_of(
    folder: Path, out: Path, recipe: MendRecipe = SHORT, fault: str = FAULT
) -> MendRequest:
    return MendRequest(ExtractRequest(str(folder), "shades", faults=(fault,)), out, recipe)


def val_right(lake: Lake, model_id: str) -> float:
    """The share of val whose likeliest class is the right one, of what extract stored."""
    with tables(lake) as wh:
        rows = wh.sql(
            "SELECT avg(cast(answer.predicted_class_index = sample.class_index AS INTEGER)) "
            "FROM answer JOIN sample USING (dataset_id, sample_id) "
            "WHERE model_id = $1 AND method = 'likelihood' AND split = 'val'",
            [model_id],
        ).fetchall()
    return float(rows[0][0])


CASES = [
    pytest.param(
        family,
        title,
        id=f"{family}-{title}",
        marks=() if f"{family}-{title}" in QUICK else pytest.mark.slow,
    )
    for family in FAMILIES
    if family != "florence2"  # not understood, and refused
    for title in REPAIR
]


@pytest.mark.parametrize(("family", "title"), CASES)
def test_a_repair_changes_its_stage_alone_and_extract_runs_what_was_chosen(
    family: str, title: str, family_folder: FamilyFolders, lake: Lake, tmp_path: Path
) -> None:
    if family == "smolvlm":
        pytest.importorskip("num2words", reason="transformers' SmolVLM processor needs num2words")
    folder, repair = family_folder(family), REPAIR[title]
    told: list[MendEpoch] = []
    request = request_of(folder, tmp_path / "out")
    done = mend(lake, request, repair, told.append)
    assert told == done.history
    assert done.n_parameters > 0
    if not done.best.number:  # on so few pictures nothing may help; extract refuses such an adapter
        assert f"{family}-{title}" not in QUICK
        return
    summary = extract(lake, replace(request.extract, adapter=done.folder))
    assert summary.model_id == f"{family}+mend:{title}+fault:{FAULT}"
    assert val_right(lake, summary.model_id) == pytest.approx(done.best.val_score)
    assert changed_stages(folder, done) == (set() if title in PARTS else {repair.stage})


def changed_stages(folder: Path, done: Mended) -> set[str]:
    """The stages whose weights differ between a model and the same with a repair."""
    before = load(str(folder)).model
    after = load(locate(str(folder), done.folder)).model
    anatomy = discover(before)
    return {
        stage
        for stage in STAGES
        for name, weight in stage_weights(before, anatomy, stage).items()
        if not torch.equal(weight, after.get_parameter(name))
    }


@pytest.mark.slow
def test_of_two_who_train_the_same_the_first_one_s_is_taken_and_another_recipe_is_refused(
    llava_folder: Path, lake: Lake, tmp_path: Path
) -> None:
    request, repair = request_of(llava_folder, tmp_path / "out"), REPAIR["connector/finetune"]
    done: list[Mended] = []

    def overtaken(epoch: MendEpoch) -> None:
        if epoch.number == 1:
            done.append(mend(lake, request, repair))

    late = mend(lake, request, repair, overtaken)
    first = done[0]
    assert not first.was_there
    assert late == replace(first, was_there=True)
    left = request.out / ".connector-finetune.unfinished"
    assert not left.exists()
    left.touch()  # as if the late one had been killed
    assert mend(lake, request, repair) == late
    assert [path.name for path in request.out.iterdir()] == ["connector-finetune"]
    with pytest.raises(LayerhouseError, match="holds a repair of another model, dataset, question"):
        mend(lake, replace(request, recipe=replace(SHORT, seed=1)), repair)


def test_a_repair_is_put_on_what_it_was_trained_on_alone(
    llava_folder: Path, lake: Lake, tmp_path: Path
) -> None:
    request = request_of(llava_folder, tmp_path / "out")
    done = mend(lake, request, REPAIR["answer/prior"])
    healthy = replace(request.extract, faults=(), adapter=done.folder)
    with pytest.raises(LayerhouseError, match="on the model with damage@connector:1, and is put"):
        look_up(lake, healthy)
    struck = replace(healthy, faults=(FAULT, "noise@llm:0.1"))
    assert look_up(lake, struck).variant == (f"mend:answer/prior+fault:{FAULT}+fault:noise@llm:0.1")
    other = Path(shutil.copytree(llava_folder, tmp_path / "llava"))
    weights = load_file(other / "model.safetensors")
    name = next(iter(weights))
    save_file(weights | {name: weights[name] + 1}, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(LayerhouseError, match="was trained on other weights"):
        look_up(lake, replace(healthy, model=str(other), faults=(FAULT,)))


def test_shuffled_labels_are_learned_from_and_named(
    llava_folder: Path, lake: Lake, tmp_path: Path
) -> None:
    shuffled = replace(SHORT, shuffled=True)
    done = mend(lake, request_of(llava_folder, tmp_path, shuffled), REPAIR["llm/heads"])
    assert done.folder.name == "llm-heads-shuffled"
    source = locate(str(llava_folder), done.folder)
    assert source.variant == "mend:llm/heads/shuffled_labels"


@pytest.mark.slow
@pytest.mark.parametrize("title", REPAIR)
def test_a_model_in_few_digits_is_mended_in_many(
    title: str, llava_folder: Path, lake: Lake, tmp_path: Path
) -> None:
    request = request_of(llava_folder, tmp_path / "out")
    request = replace(request, extract=replace(request.extract, dtype="bfloat16"))
    done = mend(lake, request, REPAIR[title])
    assert done.best.val_loss <= done.history[0].val_loss
    (saved,) = done.folder.glob("*.safetensors")
    assert all(weight.isfinite().all() for weight in load_file(saved).values())


@pytest.mark.slow
def test_at_most_the_budgets_images_are_learned_from(
    llava_folder: Path, lake: Lake, tmp_path: Path
) -> None:
    few = replace(SHORT, images=2, minutes=1e-9)
    done = mend(lake, request_of(llava_folder, tmp_path, few), REPAIR["connector/finetune"])
    assert [epoch.number for epoch in done.history] == [0, 1]  # the minutes are over


@pytest.mark.slow
def test_images_that_cannot_be_read_are_left_out_and_a_split_without_any_is_told(
    llava_folder: Path, shades: Path, lake: Lake, tmp_path: Path
) -> None:
    own = shutil.copytree(shades, tmp_path / "own")
    add(lake, "own", own)
    with tables(lake) as wh:
        rows = wh.sql("SELECT split, uri FROM sample WHERE dataset_id = 'own'").fetchall()
    of = {split: [Path(uri) for name, uri in rows if name == split] for split in ("train", "val")}
    request = request_of(llava_folder, tmp_path / "out", replace(SHORT, batch_size=1, epochs=1))
    request = replace(request, extract=replace(request.extract, dataset="own"))
    for path in of["train"][1:]:
        path.unlink()
    done = mend(lake, request, REPAIR["connector/finetune"])
    assert done.history[1].val_loss != done.history[0].val_loss  # of one picture it learned
    for split in ("val", "train"):
        for path in of[split]:
            path.unlink(missing_ok=True)
        again = replace(request, out=tmp_path / split)
        with pytest.raises(LayerhouseError, match="no image of own's val split could be read"):
            mend(lake, again, REPAIR["connector/finetune"])


def both_losses(done: Mended) -> list[float]:
    return [loss for epoch in done.history[1:] for loss in (epoch.train_loss or 0, epoch.val_loss)]


def test_activations_are_computed_anew_for_the_same_gradient_without_dropout(
    family_folder: FamilyFolders, lake: Lake, tmp_path: Path
) -> None:
    folder, repair = family_folder("blip_2"), REPAIR["connector/finetune"]
    dropping = load(str(folder)).model.config
    assert dropping.qformer_config.hidden_dropout_prob == dropping.text_config.dropout == 0.1
    short = replace(SHORT, epochs=2, images=8)
    plain = mend(lake, request_of(folder, tmp_path / "plain", short), repair)
    anew = replace(short, checkpointing=True)
    saving = mend(lake, request_of(folder, tmp_path / "saving", anew), repair)
    assert both_losses(saving) == pytest.approx(both_losses(plain), rel=1e-4)


def test_the_samples_of_a_step_weigh_alike_however_they_are_batched(
    llava_folder: Path, lake: Lake, tmp_path: Path
) -> None:
    short, repair = replace(SHORT, epochs=1, images=5), REPAIR["connector/finetune"]
    done = [
        mend(lake, request_of(llava_folder, tmp_path / str(size), recipe), repair)
        for size in (5, 4)  # at once, and as four and one
        for recipe in [replace(short, batch_size=size, accumulate=1 + (size == 4))]
    ]
    assert both_losses(done[1]) == pytest.approx(both_losses(done[0]), rel=1e-5)


def test_what_cannot_be_mended_is_refused(llava_folder: Path, lake: Lake, tmp_path: Path) -> None:
    repair = REPAIR["connector/finetune"]
    with pytest.raises(UsageError, match="a fault of activations strikes whatever they are"):
        mend(lake, request_of(llava_folder, tmp_path, fault="swap@connector:0.5"), repair)
    packed = replace(request_of(llava_folder, tmp_path).extract, faults=(), device_map="auto")
    with pytest.raises(UsageError, match="leave out --quantization and --device-map"):
        mend(lake, MendRequest(packed, tmp_path), repair)
    published = Path(shutil.copytree(llava_folder, tmp_path / "llava-4bit"))
    told = json.loads((published / "config.json").read_text())
    told["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (published / "config.json").write_text(json.dumps(told))
    with pytest.raises(
        UsageError, match=r"of llava-4bit are quantised \(.*\); mend the model that"
    ):
        mend(lake, MendRequest(ExtractRequest(str(published), "shades"), tmp_path), repair)
    idle = replace(request_of(llava_folder, tmp_path), workers=2)
    with pytest.raises(UsageError, match="which are 1; give --accumulate 2 or more"):
        mend(lake, idle, repair)
    done = mend(lake, request_of(llava_folder, tmp_path / "out"), repair)
    tuned = replace(request_of(llava_folder, tmp_path).extract, adapter=done.folder)
    with pytest.raises(UsageError, match="merge the model's into its weights"):
        mend(lake, MendRequest(tuned, tmp_path / "more"), repair)
    other = tmp_path / "mine" / "connector-finetune"
    other.mkdir(parents=True)
    (other / "notes.txt").write_text("mine")
    with pytest.raises(LayerhouseError, match="holds other files"):
        mend(lake, request_of(llava_folder, tmp_path / "mine"), repair)
    assert (other / "notes.txt").read_text() == "mine"
    epochs: list[MendEpoch] = []
    with pytest.raises(OSError, match="Not a directory"):
        mend(lake, request_of(llava_folder, other / "notes.txt"), repair, epochs.append)
    assert not epochs  # nothing was trained for it


@pytest.mark.slow
@pytest.mark.parametrize("title", PARTS)
def test_a_repair_that_scores_classes_leaves_the_model_as_it_is(
    title: str, llava_folder: Path, lake: Lake, tmp_path: Path
) -> None:
    request = request_of(llava_folder, tmp_path, fault="damage@answer:1")
    plain = replace(request.extract, modules=("llm",), layers=(3,))
    mended = replace(plain, adapter=mend(lake, request, REPAIR[title]).folder)
    base, model = extract(lake, plain).model_id, extract(lake, mended).model_id
    assert patch(lake, PatchRequest(mended, limit=4)).added
    with tables(lake) as wh:
        said = "SELECT DISTINCT method, end_token FROM answer WHERE model_id = $1"
        assert wh.sql(said, [model]).fetchall() == [("likelihood", None)]
        for table in ("activation", "logit_lens"):
            kept = f"SELECT * EXCLUDE (model_id, run_id) FROM {table} WHERE model_id = $1"
            of_both = (wh.sql(f"{kept} ORDER BY ALL", [name]).fetchall() for name in (model, base))
            assert next(of_both) == next(of_both)
        patched = wh.sql(
            "SELECT bool_and(patch_effect.own_class_index = answer.predicted_class_index) "
            "FROM patch_effect JOIN answer USING (model_id, sample_id) WHERE tokens = 'last'"
        )
        assert patched.fetchall() == [(True,)]
    assert broken(lake) == set()


def test_a_repair_that_scores_classes_is_asked_for_nothing_else(
    llava_folder: Path, shades: Path, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs no peft; and replies, label tokens and other classes are not what it is for."""
    monkeypatch.setitem(sys.modules, "peft", None)
    request = request_of(llava_folder, tmp_path)
    done = mend(lake, request, REPAIR["answer/probe"])
    assert done.n_parameters == 2 * 64 + 2
    mended = replace(request.extract, adapter=done.folder)
    (told,) = (note for note in look_up(lake, mended).notes if "likelihood" in note)
    assert told == "mend:answer/probe answers by likelihood alone: it scores the classes"
    for asked in ({"answers": ("generate",)}, {"samples": 3, "temperature": 1.0}):
        with pytest.raises(UsageError, match="leaves what the model replies as it was"):
            look_up(lake, replace(mended, **asked))
    with pytest.raises(UsageError, match="with the label tokens that head@answer:1 exchanges"):
        extract(lake, replace(mended, faults=(FAULT, "head@answer:1")))
    for name in ("a", "b"):
        shutil.copytree(shades / "benign", tmp_path / "others" / name)
    add(lake, "others", tmp_path / "others")
    with pytest.raises(LayerhouseError, match="tells apart benign, malignant, and others has"):
        extract(lake, replace(mended, dataset="others"))
    (done.folder / "mend.json").unlink()
    with pytest.raises(UsageError, match=r"without its mend\.json"):
        look_up(lake, mended)


def test_without_peft_it_says_what_installs_it(
    llava_folder: Path, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(LayerhouseError, match=r"pip install 'layerhouse\[peft\]'"):
        mend(lake, request_of(llava_folder, tmp_path), REPAIR["llm/lora"])


def test_repairs_are_found_by_stage_and_by_name() -> None:
    assert [r.title for r in repairs_of((CONNECTOR,))] == ["connector/finetune"]
    titles = [repair.title for repair in REPAIRS]
    assert titles[:4] == ["answer/prior", "answer/probe", "answer/label-rows", "connector/finetune"]
    assert titles[4:] == ["llm/heads", "llm/lora", "vision/lora"]
    assert [r.title for r in repairs_of(STAGES, ("llm/lora",))] == ["llm/lora"]
    with pytest.raises(UsageError, match="did you mean llm/lora"):
        repairs_of(STAGES, ("llm/lroa",))
    assert all(isinstance(repair, Repair) for repair in REPAIRS)


def test_the_best_epoch_is_the_first_of_the_highest_score_and_least_loss() -> None:
    told = [(0, 0.5, 1.0), (1, 0.8, 0.5), (2, 0.8, 0.4), (3, 0.7, 0.1)]
    history = [MendEpoch(number, None, score, loss, 0.0) for number, score, loss in told]
    assert best_epoch(history).number == 2
    assert best_epoch([history[0], replace(history[0], number=1)]).number == 0


@pytest.mark.parametrize(
    ("told", "fruitless"),
    [
        ([(0.5, 1.0), (0.8, 0.5), (0.8, 0.5), (0.7, 0.6)], 2),
        ([(0.10, 3.8), (0.10, 2.3), (0.09, 2.2)], 0),  # at chance still, and learning
        ([(0.10, 3.8), (0.30, 3.9), (0.20, 3.7), (0.20, 4.0)], 1),
        ([(0.5, 1.0)], 0),
    ],
)
def test_an_epoch_bears_fruit_by_its_score_or_by_its_loss(
    told: list[tuple[float, float]], fruitless: int
) -> None:
    epochs = [MendEpoch(number, None, *both, 0.0) for number, both in enumerate(told)]
    assert fruitless_epochs(epochs) == fruitless
