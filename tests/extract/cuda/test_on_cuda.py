"""On a CUDA device the agent stores what it stores on a CPU.

Everything goes through the ordinary commands; only a machine with such a device runs these tests
(`make test-cuda`).
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from extract.datasets import fold
from extract.mending import MendRecipe, MendRequest, mend, repairs_of
from extract.models.loading import load
from extract.patching import PatchRequest, patch
from extract.running.extraction import ExtractRequest, ExtractSummary, extract
from layerhouse.cli import main
from tests.extract.anatomy.test_families import EVERY_WAY
from tests.extract.conftest import FamilyFolders
from tests.extract.model_folders import edit_weights
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake
from warehouse.vocabulary import PATCH_CONTROLS, STAGES

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
ROUNDING = 6e-3
"""How far a vector may lie from another, over its norm: fp16 storage, and sums in another order."""
HALF = {"bfloat16": 0.1, "float16": 0.02}
"""The same for states that are themselves of so many bits, many layers deep."""
TEMPERATURE = 0.7


@dataclass(frozen=True)
class Stored:
    """What the lake holds of one model."""

    vectors: dict[tuple[Any, ...], np.ndarray[Any, Any]]
    answers: dict[tuple[str, str], tuple[Any, ...]]
    summary: ExtractSummary

    def check_vectors(self, other: Stored, tolerance: float) -> None:
        assert self.vectors.keys() == other.vectors.keys()
        off = {
            key: np.linalg.norm(vector - other.vectors[key]) / np.linalg.norm(other.vectors[key])
            for key, vector in self.vectors.items()
        }
        worst = max(off, key=lambda key: off[key])
        assert off[worst] <= tolerance, (worst, off[worst])

    def alike(self, other: Stored, method: str) -> float:
        """The share of samples whose reply is the same text, or whose class is the same."""
        assert self.answers.keys() == other.answers.keys()
        same = [
            answer[:2] == other.answers[key][:2]
            for key, answer in self.answers.items()
            if key[1] == method
        ]
        assert same
        return float(np.mean(same))


def copied(lake: Lake) -> Lake:
    copy = Lake.at(Path(mkdtemp(dir=lake.root.parent)) / "lake")
    shutil.copytree(lake.root, copy.root)
    return copy


def stored(lake: Lake, folder: Path, device: str, **asked: Any) -> Stored:
    """One extraction on a device, into a lake of its own."""
    copy = copied(lake)
    given = {"max_new_tokens": 6, "dtype": "float32", "device": device, **asked}
    summary = extract(copy, ExtractRequest(str(folder), "pictures", **given))
    with connect(copy) as wh:
        rows = wh.sql("SELECT module, layer, readout, sample_id, vector FROM activation").fetchall()
        answers = wh.sql(
            "SELECT sample_id, method, text, predicted_class_index, label_logprobs FROM answer"
        ).fetchall()
    vectors = {tuple(row[:4]): np.array(row[4], dtype=np.float32) for row in rows}
    return Stored(vectors, {tuple(row[:2]): tuple(row[2:]) for row in answers}, summary)


@pytest.mark.parametrize("family", EVERY_WAY)
def test_every_family_is_stored_as_on_a_cpu(
    family: str, lake: Lake, family_folder: FamilyFolders
) -> None:
    asked = {"samples": 2, "temperature": TEMPERATURE}
    here = stored(lake, family_folder(family), "cuda", **asked)
    there = stored(lake, family_folder(family), "cpu", **asked)
    here.check_vectors(there, ROUNDING)
    for key, (*_, logprobs) in here.answers.items():
        if key[1] == "likelihood":
            np.testing.assert_allclose(logprobs, there.answers[key][2], atol=5e-3)
    # A random model's best two tokens may lie nearer than rounding: of 12 replies one may turn.
    assert here.alike(there, "generate") >= 0.9
    assert here.alike(there, f"sampled:2x{TEMPERATURE}") >= 0.8


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "gemma3", "mllama"])
def test_numbers_of_few_bits_are_near(
    family: str, dtype: str, lake: Lake, family_folder: FamilyFolders
) -> None:
    here = stored(lake, family_folder(family), "cuda", dtype=dtype)
    here.check_vectors(stored(lake, family_folder(family), "cpu"), HALF[dtype])


def test_the_batch_size_changes_no_number(lake: Lake, llava_folder: Path) -> None:
    one, many = (
        stored(lake, llava_folder, "cuda", batch_size=size, preparers=workers)
        for size, workers in ((1, 0), (5, 2))
    )
    many.check_vectors(one, ROUNDING)
    assert many.alike(one, "generate") == 1.0


@pytest.mark.parametrize(
    "fault", ["swap@vision", "noise@llm.2:1", "erase@connector", "head@answer"]
)
def test_faults_strike_alike(fault: str, lake: Lake, llava_folder: Path) -> None:
    here, there = (stored(lake, llava_folder, device, faults=[fault]) for device in ("cuda", "cpu"))
    here.check_vectors(there, 2 * ROUNDING)
    assert here.alike(there, "generate") == 1.0


def test_an_adapter_is_merged(lake: Lake, llava_folder: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="adapters need the peft extra")
    torch.manual_seed(0)
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "fc1"], init_lora_weights=False)
    peft.get_peft_model(load(str(llava_folder)).model, config).save_pretrained(tmp_path / "tuned")
    here, there = (
        stored(lake, llava_folder, device, adapter=tmp_path / "tuned") for device in ("cuda", "cpu")
    )
    here.check_vectors(there, ROUNDING)


def test_patches_turn_answers_alike(lake: Lake, llava_folder: Path) -> None:
    """Images' states at the ends of connector and decoder, with every control."""
    fold(lake, "pictures", 3)
    found = []
    for device in ("cuda", "cpu"):
        asked = ExtractRequest(
            str(llava_folder), "pictures", device=device, dtype="float32", layers=(-1,)
        )
        copy = copied(lake)
        assert patch(copy, PatchRequest(asked)).added
        with connect(copy) as wh:
            found.append(wh.sql("SELECT * EXCLUDE run_id FROM patch_effect ORDER BY ALL").pl())
    here, there = found
    places = ["sample_id", "module", "layer", "tokens", "control", "donor_id"]
    assert here.select(places).equals(there.select(places))
    assert set(here["control"]) > set(PATCH_CONTROLS)
    for shift in ("target_shift", "label_shift"):
        np.testing.assert_allclose(here[shift], there[shift], atol=1e-2)
        assert here[shift].abs().max() > 5e-2, "nothing that rounding would not do"
    assert (here["predicted_class_index"] == there["predicted_class_index"]).mean() >= 0.9


@pytest.mark.parametrize(
    "title",
    [
        *("connector/finetune", "llm/lora", "answer/label-rows"),
        *("answer/prior", "answer/probe", "llm/heads"),
    ],
)
def test_repairs_learn_alike(title: str, lake: Lake, llava_folder: Path, tmp_path: Path) -> None:
    """With activations computed anew too, and with weights of few bits."""
    pytest.importorskip("peft", reason="repairs need the peft extra")
    (repair,) = repairs_of(STAGES, (title,))

    def losses(device: str, dtype: str = "float32", **recipe: Any) -> NDArray[np.float64]:
        asked = ExtractRequest(str(llava_folder), "pictures", device=device, dtype=dtype)
        told = MendRecipe(epochs=2, batch_size=4, learning_rate=1e-3, **recipe)
        out = Path(mkdtemp(dir=tmp_path))
        done = mend(copied(lake), MendRequest(asked, out, told), repair)
        return np.array([[epoch.train_loss or 0.0, epoch.val_loss] for epoch in done.history])

    here = losses("cuda")
    np.testing.assert_allclose(here, losses("cpu"), rtol=1e-2)
    np.testing.assert_allclose(here, losses("cuda", checkpointing=True), rtol=1e-2)
    np.testing.assert_allclose(here, losses("cuda", "bfloat16"), rtol=0.1)
    assert here[-1, 1] != here[0, 1]


def test_a_token_without_an_embedding_is_named_and_the_device_lives(
    lake: Lake, family_folder: FamilyFolders, tmp_path: Path
) -> None:
    folder = shutil.copytree(family_folder("llava"), tmp_path / "short")

    def shrink(weights: dict[str, Any]) -> None:
        for name in ("embed_tokens.weight", "lm_head.weight"):
            full = next(key for key in weights if key.endswith(name))
            weights[full] = weights[full][:300].clone()

    edit_weights(folder, shrink)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["vocab_size"] = 300
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(LayerhouseError, match="the embedding table has 300 rows"):
        stored(lake, folder, "cuda")
    assert float(torch.ones(3, device="cuda").sum()) == 3


def test_the_line_from_image_to_verdict_runs(lake: Lake, llava_folder: Path) -> None:
    def command(*words: str) -> None:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--dataset", "pictures", "--lake", str(lake.root)])
        assert ended.value.code == 0, words

    command("extract", "--model", str(llava_folder), "--max-new-tokens", "4")
    with connect(lake) as wh:
        (dtypes, devices) = wh.sql(
            "SELECT (SELECT list(dtype) FROM model), (SELECT list(DISTINCT device) FROM run "
            "WHERE command = 'extract')"
        ).fetchall()[0]
    assert (dtypes, [device.split(":")[0] for device in devices]) == (["bfloat16"], ["cuda"])
    command("probe", "--model", "llava", "--seeds", "1")
    command("probe", "--model", "llava", "--seeds", "1", "--kind", "mlp")
    command("diagnose", "--model", "llava")
