"""What a repair is taught are the tokens that extract scores, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from extract.datasets import add
from extract.mending.job import look_up_mend
from extract.mending.kinds import REPAIRS
from extract.mending.recipe import MendRecipe
from extract.mending.school import IGNORED, School, open_school
from extract.running import Prepared, Stopwatch, open_model, runner_of
from tests.extract.conftest import FamilyFolders
from tests.extract.mending.test_mending import request_of
from tests.extract.tiny_families import FAMILIES
from warehouse.lake.lake import Lake
from warehouse.vocabulary import LIKELIHOOD

NAMES = (
    "benign",
    "benign tumour of the skin",
    "malignant",
)  # of several tokens, and alike at first
QUICK = ("llava", "qwen2_vl", "paligemma")  # the last counts positions from 1
SIZES = ((56, 56), (112, 40), (40, 168), (90, 90))


def _pictures(folder: Path) -> Path:
    """Pictures of several sizes, so that prompts of some families are of several lengths."""
    random = np.random.default_rng(0)
    for index in range(24):
        size = (*SIZES[index % 4][::-1], 3)
        path = folder / NAMES[index % 3] / f"{index:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, size, dtype=np.uint8)).save(path)
    return folder


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in FAMILIES
        if name != "florence2"  # not understood, and refused
    ],
)
def test_the_loss_of_each_answer_is_the_likelihood_that_extract_stores(
    family: str, family_folder: FamilyFolders, tmp_path: Path
) -> None:
    if family == "smolvlm":
        pytest.importorskip("num2words", reason="transformers' SmolVLM processor needs num2words")
    lake = Lake.at(tmp_path / "lake")
    add(lake, "shades", _pictures(tmp_path / "pictures"))
    work = look_up_mend(lake, request_of(family_folder(family), tmp_path / "out"), REPAIRS[0])
    opened = open_model(work.job)
    school = open_school(work.job, opened, MendRecipe(batch_size=4), work.taught)
    prepared, _ = next(school.train())
    with torch.inference_mode():
        taught = torch.stack([_said(school, prepared, c) for c in range(len(NAMES))], dim=1)
    with runner_of(opened, (), {}, Stopwatch()) as runner:
        stored = [answer.logprobs for answer in runner.run(prepared, (), (LIKELIHOOD,))().answers]
    assert taught.numpy() == pytest.approx(np.array(stored), abs=2e-3)
    sizes = (school.targets != IGNORED).sum(dim=1)
    assert sizes.tolist() == [len(tokens) for tokens in opened.questions[None].scored]


def _said(school: School, prepared: Prepared, index: int) -> torch.Tensor:
    """The log-probability of a class' tokens for every sample of a batch [n]."""
    classes = torch.full((len(prepared.sample_ids),), index)
    logits, scored = school.logits(prepared, classes)
    told = logits.log_softmax(dim=-1).gather(2, scored.clamp(min=0)[..., None])[..., 0]
    return told.where(scored != IGNORED, 0).sum(dim=1).cpu()
