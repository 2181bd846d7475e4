"""A model that reasons before it answers is read as well as one that answers at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from extract.datasets import resolve
from extract.models import build_prompt, load
from extract.training.answers import IGNORED, Answers
from extract.training.fitting import best_epoch, fit
from extract.training.images import read_images
from extract.training.recipe import Recipe
from layerhouse.cli import layerhouse
from warehouse.catalogue import connect, dataset
from warehouse.images import open_image
from warehouse.lake import Lake

SIGNS = {
    "zero": "one closed loop and no line",
    "one": "a single upright stroke",
    "two": "an open bow above and a flat foot",
    "three": "two open bows, both to the left, one above the other",
    "four": "two lines that cross, the left arm open",
    "five": "a flat roof, a short neck and a belly",
    "six": "a loop below and a tail that rises",
    "seven": "a flat roof and a slanted leg, perhaps with a bar",
    "eight": "two closed loops, one on top of the other",
    "nine": "a loop above and a tail that falls",
}
N = 400


def _reasoned(phrase: str) -> str:
    return f"I see {SIGNS[phrase]}, and nothing else that would speak against it.</think> {phrase}"


@pytest.fixture(scope="module")
def reasoning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model, taught to reason, with a chat template that opens its reasoning."""
    root = tmp_path_factory.mktemp("reasoning")
    lake = Lake.at(root / "lake")
    resolve(lake, "digits")
    loaded = load("tiny-digits", device="cpu", dtype="float32")
    processor, model = loaded.processor, loaded.model
    processor.chat_template = processor.chat_template.replace("ASSISTANT:{%", "ASSISTANT:<think>{%")
    with connect(lake) as wh:
        info = dataset(wh, "digits")
    phrases = [row.phrase for row in info.classes]
    train, val = (read_images(info, split, processor) for split in ("train", "val"))
    first = open_image(info.samples["uri"][0])
    answers = Answers(processor, build_prompt(phrases), [_reasoned(p) for p in phrases], first)
    lengths = (answers.targets != IGNORED).sum(dim=1)
    assert 40 <= lengths.min() < lengths.max() <= 200
    torch.manual_seed(0)
    recipe = Recipe(epochs=10, augment="shift", batch_size=16, learning_rate=2e-3)
    assert best_epoch(fit(model, answers, train, val, recipe)).val_accuracy > 0.9
    model.save_pretrained(root / "model")
    processor.save_pretrained(root / "model")
    return root / "model"


def _run(lake: Path, *words: str) -> Result:
    result = CliRunner().invoke(layerhouse, [*words, "--lake", str(lake)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def _accuracy(lake: Path, model: str) -> tuple[float, float, float]:
    query = (
        "SELECT accuracy, unparsed_share, truncated_share FROM answer_accuracy "
        "WHERE model_id = $1 AND method = 'generate' AND split = 'test'"
    )
    with connect(Lake.at(lake)) as wh:
        (row,) = wh.sql(query, [model]).fetchall()
    return row


@pytest.mark.slow
def test_reasoning_costs_no_answers_at_the_default_budget(reasoning: Path, tmp_path: Path) -> None:
    for model in (str(reasoning), "tiny-digits"):
        words = ("--dataset", "digits", "--module", "connector", "--limit", str(N))
        _run(tmp_path / "lake", "extract", "--model", model, *words)
    reasoned, unparsed, truncated = _accuracy(tmp_path / "lake", "model")
    assert (unparsed, truncated) == (0, 0)
    assert reasoned >= _accuracy(tmp_path / "lake", "tiny-digits")[0] - 0.03
    with connect(Lake.at(tmp_path / "lake")) as wh:
        query = "SELECT min(n_tokens), max(n_tokens) FROM answer WHERE model_id = 'model'"
        ((shortest, longest),) = wh.sql(query).fetchall()
    assert 40 <= shortest < longest <= 200


@pytest.mark.slow
def test_cut_inside_its_reasoning_nothing_is_read_and_the_verdict_is_open(
    reasoning: Path, tmp_path: Path
) -> None:
    lake, of = tmp_path / "lake", ("--model", "model", "--dataset", "digits")
    words = ["--dataset", "digits", "--limit", str(N), "--max-new-tokens", "20"]
    words += ["--answer", "generate"]  # of a part of the test split, likelihoods would be taken
    told = _run(lake, "extract", "--model", str(reasoning), *words).output
    assert f"{N} of {N} replies were cut after 20 tokens" in told
    assert _accuracy(lake, "model") == (0, 0, 1)
    _run(lake, "probe", *of, "--seeds", "1")
    verdict = _run(lake, "diagnose", *of).output
    assert "100% of its replies were truncated after 20 tokens" in verdict
    assert "--max-new-tokens 160" in verdict


@pytest.mark.slow
def test_a_model_that_reasons_is_read_where_it_answers(reasoning: Path, tmp_path: Path) -> None:
    lake, of = tmp_path / "lake", ("--model", "model", "--dataset", "digits")
    words = ["--dataset", "digits", "--limit", str(N), "--answer", "generate", "--layer", "-1"]
    words += ["--module", "llm", "--readout", "last", "--readout", "reply"]
    _run(lake, "extract", "--model", str(reasoning), *words)
    _run(lake, "probe", *of, "--seeds", "1")
    told = _run(lake, "diagnose", *of, "--resamples", "100").output
    with connect(Lake.at(lake)) as wh:
        read = wh.sql("SELECT DISTINCT n, n_named FROM reply_reading WHERE split = 'test'")
        ((n, n_named),) = read.fetchall()
        places = wh.sql("SELECT min(n_before) FROM reply_place").fetchall()
        query = "SELECT readout, test_accuracy FROM stage_candidate WHERE stage = 'llm'"
        found = dict(wh.sql(query).fetchall())
        chosen = wh.sql("SELECT readout FROM stage_signal WHERE stage = 'llm'").fetchall()
    assert n == n_named
    assert places[0][0] >= 30
    assert found["reply"] >= found["generate"] - 0.03
    ((readout,),) = chosen  # of equals on val the answer comes first
    assert (
        f"llm {'by the generate answer' if readout == 'generate' else f'at llm 4 ({readout}'}"
        in told
    )


@pytest.mark.slow
def test_most_of_several_reasoned_replies_answer_as_well_and_can_be_diagnosed(
    reasoning: Path, tmp_path: Path
) -> None:
    lake, of = tmp_path / "lake", ("--model", "model", "--dataset", "digits")
    words = ["--dataset", "digits", "--limit", str(N), "--answer", "generate", "--layer", "-1"]
    words += ["--samples", "5", "--temperature", "0.7"]
    _run(lake, "extract", "--model", str(reasoning), *words)
    with connect(Lake.at(lake)) as wh:
        query = "SELECT method, accuracy FROM answer_accuracy WHERE split = 'test'"
        accuracy = dict(wh.sql(query).fetchall())
        query = "SELECT avg(agreement), count(DISTINCT agreement) FROM reply_agreement"
        ((agreement, n_kinds),) = wh.sql(query).fetchall()
    assert accuracy["sampled:5x0.7"] >= accuracy["generate"] - 0.05
    assert 0.5 < agreement < 1
    assert n_kinds > 1
    _run(lake, "probe", *of, "--seeds", "1")
    told = _run(lake, "diagnose", *of, "--resamples", "100", "--method", "sampled:5x0.7").output
    assert "sampled:5x0.7" in told
    with connect(Lake.at(lake)) as wh:
        rows = wh.sql("SELECT answer_method, answer_accuracy FROM mart_leaderboard").fetchall()
    assert rows == [("sampled:5x0.7", pytest.approx(accuracy["sampled:5x0.7"]))]
