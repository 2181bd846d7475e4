"""The shipped tiny model answers well and saw only what it may; its trainer really trains."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from transformers import AutoModelForImageTextToText

import extract
from extract.datasets import add, registered, resolve
from extract.models.processors import ready_processor
from extract.models.prompt_entries import Wording
from extract.models.prompts import build_prompt, phrase_tokens, render
from extract.sharing import images_hash
from extract.training.answers import IGNORED, Answers
from extract.training.building import build_model, build_processor
from extract.training.fitting import evaluate
from extract.training.images import augmented, read_images
from extract.training.recipe import AUGMENTATIONS, Recipe, suggested_recipe
from extract.training.shares import with_share
from extract.training.tiny import main, train_tiny_model
from tests.tables import tables
from warehouse.catalogue.samples import DatasetInfo, dataset
from warehouse.errors import LayerhouseError
from warehouse.images import digit_arrays, open_image
from warehouse.lake.lake import Lake

SHIPPED = Path(extract.__file__).parent / "models" / "tiny-digits"
QUICK = Recipe(
    epochs=3, image_size=32, augment="shift", batch_size=16, width=32, layers=2, learning_rate=5e-3
)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, DatasetInfo]:
    lake = Lake.at(tmp_path_factory.mktemp("digits"))
    return lake, read(lake, resolve(lake, "digits"))


def read(lake: Lake, name: str) -> DatasetInfo:
    with tables(lake) as warehouse:
        return dataset(warehouse, name)


def load(folder: Path) -> tuple[Any, Any]:
    """Model and processor as any user of transformers gets them; nothing missing or left over."""
    model, info = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model.eval(), ready_processor(folder).processor


@pytest.fixture(scope="module")
def three_digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, str]:
    """A folder dataset of the digits 0, 1 and 7 whose test images were deleted after adding it."""
    root = tmp_path_factory.mktemp("data") / "three"
    images, labels = digit_arrays()
    for digit in (0, 1, 7):
        chosen = images[labels == digit][:60]
        for n, image in enumerate(chosen):
            split = "train" if n < 40 else "val" if n < 50 else "test"
            path = root / split / f"the_digit_{digit}" / f"{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((image * 15.9375).astype(np.uint8)).save(path)
    lake = Lake.at(root.parent / "lake")
    add(lake, "three", root)
    for path in (root / "test").rglob("*.png"):
        path.unlink()
    return lake, "three"


def test_the_shipped_model_answers_at_least_93_percent_of_the_test_split(
    digits: tuple[Lake, DatasetInfo],
) -> None:
    model, processor = load(SHIPPED)
    _, info = digits
    phrases = [row.phrase for row in info.classes]
    question = build_prompt(phrases)
    tokens = phrase_tokens(processor, Wording(question), phrases)
    assert [len(token) for token in tokens] == [1] * 10
    samples = info.samples.filter(split="test")
    images = [open_image(uri) for uri in samples["uri"]]
    prompts = [render(processor, question)] * len(images)
    inputs = processor(images=images, text=prompts, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**inputs).logits[:, -1]
    answers = logits[:, [token[0] for token in tokens]].argmax(-1).numpy()
    assert (answers == samples["class_index"].to_numpy()).mean() >= 0.93
    # nothing but a class phrase is ever the most likely reply
    assert np.isin(logits.argmax(-1).numpy(), tokens).all()


def test_the_shipped_model_stops_after_its_answer(digits: tuple[Lake, DatasetInfo]) -> None:
    model, processor = load(SHIPPED)
    prompt = render(processor, build_prompt([row.phrase for row in digits[1].classes]))
    inputs = processor(images=[open_image("sklearn-digits:0")], text=[prompt], return_tensors="pt")
    replies = model.generate(**inputs, do_sample=False, max_new_tokens=8)
    reply = processor.tokenizer.decode(replies[0, inputs["input_ids"].shape[1] :])
    assert reply == " zero</s>"


def test_the_shipped_model_saw_the_train_split_of_the_digits_only(
    digits: tuple[Lake, DatasetInfo],
) -> None:
    lake, info = digits
    record = json.loads((SHIPPED / "training.json").read_text())
    assert record["dataset"] == "digits"
    assert record["dataset_fingerprint"] == registered(lake)["digits"].fingerprint
    of = {split: rows["sha256"] for (split,), rows in info.samples.group_by("split")}
    assert record["splits_used"] == {
        "train": {"n": 1078, "sha256": images_hash(of["train"])},
        "val": {"n": 362, "sha256": images_hash(of["val"])},
    }
    assert record["question"] == build_prompt([row.phrase for row in info.classes])


def test_the_shipped_folder_is_small_and_names_no_machine() -> None:
    files = list(SHIPPED.iterdir())
    assert sum(file.stat().st_size for file in files) <= 2_000_000
    texts = [file.read_text() for file in files if file.suffix in (".json", ".jinja")]
    assert not any(place in text for text in texts for place in ("/tmp", "/home", "/root", "/work"))


def test_training_lowers_the_loss_and_needs_no_test_image(
    three_digits: tuple[Lake, str], tmp_path: Path
) -> None:
    lake, name = three_digits
    history = train_tiny_model(lake, name, tmp_path / "model", QUICK)
    assert [epoch.number for epoch in history] == [1, 2, 3]
    assert history[-1].train_loss < 0.5 * history[0].train_loss
    model, processor = load(tmp_path / "model")
    info = read(lake, name)
    phrases = [row.phrase for row in info.classes]
    assert phrases == ["the digit 0", "the digit 1", "the digit 7"]
    val = read_images(info, "val", processor)
    first = open_image(info.samples.filter(split="val")["uri"][0])
    answers = Answers(processor, build_prompt(phrases), phrases, first)
    loss, accuracy = evaluate(model, answers, val)
    record = json.loads((tmp_path / "model" / "training.json").read_text())
    assert loss == pytest.approx(record["val_loss"], abs=1e-3)
    assert accuracy == pytest.approx(record["val_accuracy"], abs=1e-3)
    assert set(record["splits_used"]) == {"train", "val"}
    seen = info.samples.filter(pl.col("split") != "test")["sha256"]
    assert record["images"] == sorted(sha256[:16] for sha256 in seen)


def test_a_share_is_whole_groups_of_every_class(digits: tuple[Lake, DatasetInfo]) -> None:
    patients = [f"p{row // 4}" for row in range(len(digits[1].samples))]
    grouped = digits[1].samples.with_columns(pl.Series("group_id", patients))
    shared = with_share(replace(digits[1], samples=grouped), 0.33).samples
    assert shared.group_by("group_id").agg(pl.col("split").n_unique())["split"].unique()[0] == 1
    held = shared.group_by("class_index").agg((pl.col("split") != "test").mean())["split"]
    assert held.to_list() == pytest.approx([0.33] * 10, abs=0.06)
    taken = shared.filter(pl.col("split") != "test")
    assert (taken["split"] == "val").mean() == pytest.approx(0.25, abs=0.05)


def test_the_record_names_the_images_of_the_share(
    digits: tuple[Lake, DatasetInfo], tmp_path: Path
) -> None:
    recipe = Recipe(**{**vars(QUICK), "epochs": 1})
    train_tiny_model(digits[0], "digits", tmp_path / "model", recipe, share=0.05)
    record = json.loads((tmp_path / "model" / "training.json").read_text())
    taken = with_share(digits[1], 0.05).samples.filter(pl.col("split") != "test")
    assert record["images"] == sorted(sha256[:16] for sha256 in taken["sha256"])
    assert sum(used["n"] for used in record["splits_used"].values()) == len(taken) < 120


def test_equal_seeds_give_equal_weights_and_others_do_not(
    three_digits: tuple[Lake, str], tmp_path: Path
) -> None:
    lake, name = three_digits
    weights = []
    for seed, folder in ((0, "a"), (0, "b"), (1, "c")):
        recipe = Recipe(**{**vars(QUICK), "epochs": 1, "seed": seed})
        torch.rand(1)  # the global generator must not matter
        train_tiny_model(lake, name, tmp_path / folder, recipe)
        weights.append((tmp_path / folder / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_answers_of_different_length_are_padded_without_effect() -> None:
    recipe = Recipe(image_size=32, width=32, layers=2)
    phrases = ["no", "a much longer phrase"]
    question = build_prompt(phrases)
    processor = build_processor(question, phrases, recipe)
    torch.manual_seed(0)
    model = build_model(processor.tokenizer, recipe).eval()
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    pixels = processor.image_processor([image], return_tensors="pt")["pixel_values"]
    answers = Answers(processor, question, phrases, image)
    assert (answers.targets != IGNORED).sum(dim=1).tolist() == [2, 5]
    with torch.no_grad():
        together = answers.logits(model, pixels.expand(2, -1, -1, -1), torch.tensor([0, 1]))
        single = Answers(processor, question, ["no"], image)
        alone = single.logits(model, pixels, torch.tensor([0]))
        reply = f"{render(processor, question)} no"
        text = processor(images=[image], text=[reply], return_tensors="pt")
        plain = model(**text).logits[:, -2:]
    torch.testing.assert_close(together[:1, :2], alone)
    torch.testing.assert_close(alone, plain)


@pytest.mark.parametrize("how", AUGMENTATIONS)
def test_augmentation_moves_pixels_and_invents_none(how: str) -> None:
    pixels = torch.arange(4 * 3 * 32 * 32, dtype=torch.float32).reshape(4, 3, 32, 32)
    changed = augmented(pixels, how, torch.Generator().manual_seed(0))
    assert changed.shape == pixels.shape
    assert torch.equal(changed, pixels) == (how == "none")
    assert all(set(new.unique().tolist()) <= set(old.unique().tolist())
               for new, old in zip(changed, pixels, strict=True))  # fmt: skip


def test_small_images_are_seen_small_and_never_mirrored(
    digits: tuple[Lake, DatasetInfo],
) -> None:
    assert suggested_recipe(digits[1]) == Recipe(image_size=32, augment="shift")
    assert suggested_recipe(digits[1], epochs=2, augment="none").augment == "none"


def test_the_command_line_trains_and_reports_and_refuses_in_one_sentence(
    three_digits: tuple[Lake, str], tmp_path: Path
) -> None:
    lake, name = three_digits
    run = CliRunner()
    arguments = ["--dataset", name, "--lake", str(lake.root), "--epochs", "1"]
    done = run.invoke(main, [*arguments, "--out", str(tmp_path / "model")])
    assert done.exit_code == 0
    assert "epoch 1 is the best" in done.output
    wrong = run.invoke(main, [*arguments[2:], "--dataset", "thre", "--out", str(tmp_path / "x")])
    assert (wrong.exit_code, wrong.output.count("\n")) == (2, 1)
    assert "did you mean three?" in wrong.output


def test_a_folder_of_other_files_is_not_overwritten(
    three_digits: tuple[Lake, str], tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(LayerhouseError, match="holds other files"):
        train_tiny_model(*three_digits, tmp_path, QUICK)
