"""Deep baselines: transformers' own classes, built small and trained for real."""

from __future__ import annotations

import json
import os
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForImageClassification, ViTImageProcessor

from analysis.baselines import Options, baseline, known_architectures
from analysis.baselines.augmentation import augment
from analysis.baselines.descent import FROM_SCRATCH, LabelledPixels, _score, fit, predict
from analysis.baselines.networks import _from_scratch
from tests.analysis.activation_lake import dataset_lake
from tests.conftest import layerhouse
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake

NATIVE = [a for a in known_architectures().values() if a.is_deep and a.is_native]
SHARED_OUT = [
    pytest.param(a, marks=pytest.mark.slow if number % 3 else ()) for number, a in enumerate(NATIVE)
]
DIGITS = 240


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Zeros and ones of scikit-learn's digits; tests share what they add."""
    target = load_digits().target
    chosen = np.flatnonzero(target < 2)[:DIGITS]
    splits = np.array(["train", "val", "train", "test"])[np.arange(len(chosen)) % 4]
    return dataset_lake(
        tmp_path_factory.mktemp("digits") / "lake",
        target[chosen],
        splits,
        [f"sklearn-digits:{i}" for i in chosen],
    )


def test_the_groups_are_those_of_the_paper() -> None:
    counts = Counter(a.kind for a in known_architectures().values() if a.is_deep)
    assert counts == {"cnn": 8, "mlp": 4, "vit": 4, "hybrid": 7}
    assert {a.kind for a in known_architectures().values() if not a.is_native} == {"mlp"}


@pytest.mark.parametrize("architecture", SHARED_OUT, ids=lambda a: a.name)
def test_every_native_architecture_learns_a_batch(architecture: object) -> None:
    """Built by transformers at 64 pixels, all its weights get a gradient and the loss falls."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = _from_scratch(architecture).build(3, 64)
        images = torch.randn(6, 3, 64, 64) + torch.arange(6)[:, None, None, None] % 3
        classes = torch.arange(6) % 3
        optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
        losses: list[float] = []
        for _ in range(12):
            loss = cross_entropy(model(images).logits, classes)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            if len(losses) > 3 and losses[-1] < losses[0]:
                break
    assert not [name for name, weight in model.named_parameters() if weight.grad is None]
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_a_network_learns_and_is_stored_once_per_seed(digits: Lake) -> None:
    options = Options(epochs=6, side=32)
    first = baseline(digits, "shapes", "mobilenet_v2", seed=3, options=options)
    assert first.added
    assert first.test_accuracy > 0.8
    again = baseline(digits, "shapes", "mobilenet_v2", seed=3, options=options)
    assert not again.added
    assert again.baseline_id == first.baseline_id
    with pytest.raises(LayerhouseError, match="epochs: 6 → 2"):
        baseline(digits, "shapes", "mobilenet_v2", seed=3, options=Options(epochs=2, side=32))
    other = baseline(digits, "shapes", "mobilenet_v2", seed=4, options=options)
    assert other.added
    with connect(digits) as wh:
        row = wh.sql(
            "SELECT kind, n_seeds, val_accuracy FROM baseline_candidate "
            "WHERE architecture = 'mobilenet_v2'"
        ).fetchall()
        stored = wh.sql(
            "SELECT hyperparameters FROM baseline WHERE baseline_id = $1", [first.baseline_id]
        ).fetchall()
    assert row == [("cnn", 2, pytest.approx((first.val_accuracy + other.val_accuracy) / 2))]
    chosen = json.loads(stored[0][0])["chosen"]
    assert 1 <= chosen["epoch"] <= chosen["epochs_run"] <= 6
    assert chosen["side"] == 32


def test_the_same_seed_gives_the_same_numbers_and_leaves_torch_alone() -> None:
    images = torch.randint(0, 256, (24, 3, 32, 32), dtype=torch.uint8)
    classes = torch.arange(24) % 2
    state = torch.get_rng_state()
    found = []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = _from_scratch(known_architectures()["mobilenet_v2"]).build(2, 32)
            standard = lambda pixels: pixels.float() / 255  # noqa: E731
            generator = torch.Generator().manual_seed(1)
            schedule = FROM_SCRATCH.at_most(2)
            shown = LabelledPixels(images, classes, None)
            fit(model, standard, shown, shown, schedule, generator)
            found.append(predict(model, standard, images))
    assert np.array_equal(*found)
    assert torch.equal(state, torch.get_rng_state())


def test_training_stops_early_and_keeps_the_best_epoch() -> None:
    """Labels that cannot be learnt: val never gets better for long, so it ends before its limit."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (32, 3, 32, 32), dtype=torch.uint8, generator=generator)
    classes = torch.randint(0, 2, (32,), generator=generator)
    standard = lambda pixels: pixels.float() / 255  # noqa: E731
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = _from_scratch(known_architectures()["regnet"]).build(2, 32)
        chosen = fit(
            model,
            standard,
            LabelledPixels(images[:16], classes[:16], None),
            LabelledPixels(images[16:], classes[16:], None),
            FROM_SCRATCH,
            generator,
        )
    assert chosen["epochs_run"] == chosen["epoch"] + FROM_SCRATCH.patience < FROM_SCRATCH.epochs


def test_augmentation_moves_and_relights_but_keeps_shape_and_seed() -> None:
    images = torch.rand(5, 3, 16, 16)
    one, same, other = (augment(images, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert one.shape == images.shape
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)
    assert not torch.allclose(one, images)
    # A left-right gradient stays one: nothing is mirrored.
    ramp = torch.linspace(-1, 1, 16).expand(8, 3, 16, 16)
    moved = augment(ramp, torch.Generator().manual_seed(0))
    assert (moved[..., 10:].mean((1, 2, 3)) > moved[..., :6].mean((1, 2, 3))).all()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A saved ViT with five classes, as a hub folder holds it."""
    folder = tmp_path / "my-vit"
    small = known_architectures()["vit"].small
    config = AutoConfig.for_model("vit", num_labels=5, image_size=32, **small)
    AutoModelForImageClassification.from_config(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def test_weights_are_the_start_and_part_of_the_name(digits: Lake, weights: Path) -> None:
    options = Options(weights=str(weights), epochs=1)
    summary = baseline(digits, "shapes", "vit", options=options)
    assert summary.architecture == "vit:my-vit"
    with connect(digits) as wh:
        text = wh.sql(
            "SELECT hyperparameters FROM baseline WHERE baseline_id = $1", [summary.baseline_id]
        ).fetchall()[0][0]
    settings = json.loads(text)
    assert settings["side"] == 32
    assert settings["fingerprint"]
    assert settings["learning_rate"] == 1e-4


def test_weights_that_lack_a_layer_are_refused(digits: Lake, weights: Path) -> None:
    path = weights / "model.safetensors"
    tensors = load_file(path)
    gone = next(name for name in tensors if "layer" in name and name.endswith("weight"))
    save_file({n: t for n, t in tensors.items() if n != gone}, path, metadata={"format": "pt"})
    options = Options(weights=str(weights), epochs=1)
    with pytest.raises(LayerhouseError, match="do not fit ViTForImageClassification"):
        baseline(digits, "shapes", "vit", seed=1, options=options)


def test_weights_of_another_architecture_are_refused(digits: Lake, weights: Path) -> None:
    with pytest.raises(UsageError, match="is a vit and not a resnet"):
        baseline(digits, "shapes", "resnet", options=Options(weights=str(weights)))


class Trap:
    """A pickle that, once read, makes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("said", ["pickle", "index", "outside", "kernel", "timm", "damaged"])
def test_weights_of_a_stranger_run_nothing(
    digits: Lake, weights: Path, tmp_path: Path, said: str
) -> None:
    file, config = weights / "model.safetensors", weights / "config.json"
    (weights / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(tmp_path / "trace")))
    if said == "pickle":
        file.unlink()
    elif said in ("index", "outside"):
        name = "pytorch_model.bin" if said == "index" else "../other.safetensors"
        file.rename(weights / "model-1.safetensors")
        named = {"weight_map": {"w": name}}
        (weights / "model.safetensors.index.json").write_text(json.dumps(named))
    elif said == "damaged":
        config.write_text("{")
    else:
        asked: dict[str, Any] = {"attn_implementation": "somebody/kernel"}
        if said == "timm":
            asked = {"model_args": {"checkpoint_path": str(weights / "pytorch_model.bin")}}
        config.write_text(json.dumps(json.loads(config.read_text()) | asked))
    match = "pickled|no file of its folder|not run|elsewhere|cannot be read"
    with pytest.raises(LayerhouseError, match=match):
        baseline(digits, "shapes", "vit", options=Options(weights=str(weights)))
    assert not (tmp_path / "trace").exists()


def test_weights_that_are_not_there_are_refused(digits: Lake, tmp_path: Path) -> None:
    with pytest.raises(LayerhouseError, match="no weights at"):
        baseline(digits, "shapes", "vit", options=Options(weights=str(tmp_path / "gone")))


def test_a_side_that_does_not_go_through_the_network_is_refused(digits: Lake) -> None:
    with pytest.raises(LayerhouseError, match="takes no images of 32 × 32 pixels"):
        baseline(digits, "shapes", "swin", options=Options(side=32))


def test_an_option_of_networks_is_refused_elsewhere(digits: Lake) -> None:
    with pytest.raises(UsageError, match="takes no --epochs"):
        baseline(digits, "shapes", "pixels-logistic", options=Options(epochs=3))


def test_a_missing_extra_names_its_installation(
    digits: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.baselines.architectures.find_spec", lambda _: None)
    with pytest.raises(LayerhouseError, match=r"pip install 'layerhouse\[timm\]'"):
        baseline(digits, "shapes", "mlp-mixer")


def test_the_list_shows_every_architecture(tmp_path: Path) -> None:
    done = layerhouse("baseline", "--list", cwd=tmp_path)
    assert done.code == 0
    for architecture in known_architectures().values():
        assert architecture.name in done.out
    assert done.out.count("through timm") == 4


@pytest.mark.parametrize("weights", [None, torch.tensor([1.5, 0.5, 0.5, 1.5])])
def test_images_weigh_in_what_is_best_on_val(weights: torch.Tensor | None) -> None:
    val = LabelledPixels(torch.empty(4, 0), torch.tensor([0, 1, 1, 0]), weights)
    logits = np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]], np.float32))
    told = np.ones(4) if weights is None else weights.numpy()
    right, likelihood = _score(logits, val)
    assert right == pytest.approx((told * [1, 1, 0, 1]).sum() / 4)
    assert likelihood == pytest.approx((told * np.log([0.9, 0.8, 0.3, 0.6])).sum() / 4, rel=1e-5)
