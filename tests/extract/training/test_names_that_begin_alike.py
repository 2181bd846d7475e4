"""A class whose name another one goes on from: a model trained to tell them says either where it
should, by likelihood as in words.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits

from extract.datasets import add
from extract.models import GivenModel, build_prompt, load, phrase_tokens
from extract.models.prompt_entries import Wording
from extract.running import extract
from extract.sharing import ExtractRequest
from extract.training.answers import Answers
from extract.training.fitting import best_epoch, fit
from extract.training.images import read_images
from extract.training.recipe import Recipe
from tests.tables import tables
from warehouse.catalogue import dataset
from warehouse.images import open_image
from warehouse.lake import Lake

LABELS = {4: "4", 9: "4a"}
"""Which digits are shown for which class."""
N = 60


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two classes of digits whose names begin alike."""
    root = tmp_path_factory.mktemp("alike")
    numbers = load_digits().target.tolist()
    rows = ["image_path,label"]
    for digit, label in LABELS.items():
        chosen = [index for index, number in enumerate(numbers) if number == digit][:N]
        rows += [f"{_written(root, index)},{label}" for index in chosen]
    table = root / "grades.csv"
    table.write_text("\n".join(rows))
    place = Lake.at(root / "lake")
    add(place, "grades", table)
    return place


def _written(root: Path, index: int) -> str:
    path = root / f"{index}.png"
    open_image(f"sklearn-digits:{index}").save(path)
    return path.name


@pytest.mark.slow  # `test_scoring` holds the scores of such names to slow ones
def test_either_name_is_answered_where_it_should_be(lake: Lake) -> None:
    loaded = load("tiny-digits", device="cpu", dtype="float32")
    processor, model = loaded.processor, loaded.model
    with tables(lake) as wh:
        info = dataset(wh, "grades")
    phrases = [row.phrase for row in info.classes]
    question = build_prompt(phrases)
    shorter, longer = phrase_tokens(processor, Wording(question), phrases)
    assert longer[: len(shorter)] == shorter
    train, val = (read_images(info, split, processor) for split in ("train", "val"))
    answers = Answers(processor, question, phrases, open_image(info.samples["uri"][0]))
    torch.manual_seed(0)
    recipe = Recipe(epochs=6, augment="shift", batch_size=8, learning_rate=2e-3)
    assert best_epoch(fit(model, answers, train, val, recipe)).val_accuracy > 0.9
    given = GivenModel("alike", model, processor)
    words = {"modules": ("connector",), "preparers": 0}
    extract(lake, ExtractRequest(given, "grades", **words))
    with tables(lake) as wh:
        found = wh.sql(
            "SELECT method, label, avg((answer.predicted_class_index = class_index)::INT) "
            "FROM answer JOIN sample USING (dataset_id, sample_id) "
            "JOIN class USING (dataset_id, class_index) GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert [(method, label) for method, label, _ in found] == [
        (method, label) for method in ("generate", "likelihood") for label in ("4", "4a")
    ]
    assert all(share > 0.9 for *_, share in found), found
