"""Pairs of real models from extraction to the paired interval: an adapter, and a medical model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from analysis.diagnosis import DiagnosedAnswer
from extract.models.loading import load
from extract.models.registry import entry_named
from layerhouse.cli import main
from tests.conftest import layerhouse
from tests.extract.tiny_families import save_family
from tests.lakes import Signals, synthetic_lake
from warehouse.catalogue.refreshing import connect
from warehouse.lake.lake import Lake

LIMIT = 120
QUESTION = torch.arange(5, 15)[None]


def run(*arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 0


def train_lora(out: Path) -> Path:
    """A LoRA of the shipped model after a few steps on words that are no answers: it does harm."""
    peft = pytest.importorskip("peft", reason="adapters need the peft extra")
    torch.manual_seed(0)
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"])
    model = peft.get_peft_model(load("tiny-digits").model, config)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-2)
    for _ in range(5):
        model(input_ids=QUESTION, labels=QUESTION).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(out)
    return out


def test_a_comparison_says_which_answers_of_how_many_samples_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    signals = Signals(methods=("generate",))
    lake = synthetic_lake(tmp_path / "lake", {"m": signals, "n": signals}, n_samples=80)
    of = ("--model", "m", "--base", "n", "--dataset", "shapes", "--resamples", "100")
    run("compare", *of, "--lake", str(lake.root))
    printed = capsys.readouterr().out
    for model in "mn":
        assert f"Answer of {model}: generate to the prompt default, 20 test samples" in printed


def test_an_answer_tells_how_many_of_its_replies_were_cut() -> None:
    answer = DiagnosedAnswer("generate", "letters", 200, 357, n_truncated=3)
    assert str(answer) == "generate to the prompt letters, 200 of 357 test samples, 3 replies cut"


@pytest.mark.slow
def test_an_adapter_is_compared_with_the_model_that_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAYERHOUSE_LAKE", str(tmp_path / "lake"))
    adapter = train_lora(tmp_path / "tuned")
    wanted = ["--model", "tiny-digits", "--dataset", "digits", "--limit", str(LIMIT)]
    for more in ([], ["--adapter", str(adapter)]):
        run("extract", *wanted, "--layer", "-1", *more)
    for model_id in ("tiny-digits", "tiny-digits+adapter:tuned"):
        run("probe", "--model", model_id, "--dataset", "digits", "--seeds", "1")
    capsys.readouterr()
    run("compare", "--resamples", "500")
    printed = capsys.readouterr().out
    assert "tiny-digits+adapter:tuned minus tiny-digits on digits" in printed
    with connect(Lake.at(tmp_path / "lake")) as wh:
        found = {
            (stage, quantity): bounds
            for stage, quantity, *bounds in wh.sql(
                "SELECT stage, quantity, point, lower, upper FROM pair_interval"
            ).fetchall()
        }
    difference, lower, upper = found["answer", "accuracy"]
    assert lower <= difference <= upper < 0
    assert found["vision", "accuracy"][0] > difference


def disturb(weights: Path) -> None:
    """Make another model of it: every matrix a little different."""
    torch.manual_seed(0)
    tensors = {name: w + 0.05 * torch.randn_like(w) for name, w in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})


@pytest.mark.slow
def test_a_medical_model_is_compared_with_its_general_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two real names of the registry, whose files a cache of the hub holds; here they are tiny."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("LAYERHOUSE_LAKE", "lake")
    commits = {name: entry_named(name).revision for name in ("medgemma-4b", "gemma-3-4b")}
    for index, (name, commit) in enumerate(commits.items()):
        cached = tmp_path / "hub" / f"models--{(entry_named(name).hub or '').replace('/', '--')}"
        made = save_family("gemma3", tmp_path / "made" / name)
        shutil.copytree(made, cached / "snapshots" / commit)
        if index:
            disturb(cached / "snapshots" / commit / "model.safetensors")
    for name in commits:
        for command in (
            ["extract", "--limit", str(LIMIT), "--layer", "-1"],
            ["probe", "--seeds", "1"],
        ):
            names = ["--model", name, "--dataset", "digits"]
            done = layerhouse(command[0], *names, *command[1:], cwd=tmp_path)
            assert done.code == 0, done.err
    done = layerhouse("compare", "--resamples", "500", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "medgemma-4b minus gemma-3-4b on digits" in done.out
    with connect(Lake.at(tmp_path / "lake")) as wh:
        ran = wh.sql("SELECT name, revision FROM model").fetchall()
        kinds = wh.sql("SELECT DISTINCT pair_kind, base_model_id FROM mart_model_pairs").fetchall()
        (moved,) = wh.sql("SELECT count(*) FROM pair_interval WHERE point <> 0").fetchall()[0]
        open_ends = wh.sql("SELECT count(*) FROM pair_interval WHERE lower IS NULL").fetchall()
    assert dict(ran) == commits
    assert kinds == [("general_base", "gemma-3-4b")]
    assert open_ends == [(0,)]
    assert moved > 0
