"""A loaded model in the place of a name: the same numbers, under the name it was given."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import layerhouse
from extract import datasets
from extract.models.loading import load
from warehouse.catalogue import refresh
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake

OPTIONS: dict[str, Any] = {"limit": 12, "readout": "mean", "module": "llm", "answer": "likelihood"}


@pytest.fixture
def loaded() -> tuple[Any, Any]:
    found = load("tiny-digits", device="cpu")
    return found.model, found.processor


def _vectors(lake: Path, model: str) -> np.ndarray[Any, Any]:
    with layerhouse.connect(lake) as wh:
        found, _ = wh.activations(
            model=model, dataset="digits", module="llm", layer=3, readout="mean"
        )
    return found


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake that knows the digits."""
    lake = Lake.at(tmp_path_factory.mktemp("given") / "lake")
    datasets.resolve(lake, "digits")
    refresh(lake)
    return lake


@pytest.fixture
def lake(registered: Lake, tmp_path: Path) -> Path:
    return Path(shutil.copytree(registered.root, tmp_path / "lake"))


def test_a_loaded_model_gives_the_vectors_of_its_folder_until_a_weight_changes(
    loaded: tuple[Any, Any], lake: Path
) -> None:
    model, processor = loaded

    def run() -> Any:
        return layerhouse.extract(
            model, "digits", processor=processor, name="mine", lake=lake, **OPTIONS
        )

    layerhouse.extract("tiny-digits", "digits", lake=lake, **OPTIONS)
    done = run()
    assert (done.model_id, done.added, done.n_samples) == ("mine", True, 12)
    assert np.array_equal(_vectors(lake, "mine"), _vectors(lake, "tiny-digits"))
    assert not run().added
    with torch.no_grad():
        model.get_input_embeddings().weight[-1, -1] += 1
    with pytest.raises(LayerhouseError, match="mine on digits under another configuration"):
        run()


def test_a_fault_is_injected_and_training_goes_on_afterwards(
    loaded: tuple[Any, Any], lake: Path
) -> None:
    model, processor = loaded
    model.train()
    done = layerhouse.extract(
        model,
        "digits",
        processor=processor,
        name="mine",
        lake=lake,
        fault="swap@vision:0.5",
        **OPTIONS,
    )
    assert done.model_id == "mine+fault:swap@vision:0.5"
    assert model.training


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"processor": None}, "needs its processor= and a name="),
        ({"name": None}, "needs its processor= and a name="),
        ({"name": "mine+more"}, "at least one character and no +"),
        ({"processor": len}, "is no processor"),
        ({"model": torch.nn.Linear(1, 1)}, "a Linear is no model of transformers"),
        ({"model": "tiny-digits"}, "brings its own name and processor"),
        ({"workers": 2}, "leave out engine and workers"),
        ({"engine": "ray"}, "leave out engine and workers"),
        ({"dtype": "float16"}, "leave out dtype"),
        ({"random_weights": 0}, "leave out random_weights"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_cannot_be_meant_of_a_loaded_model_is_refused(
    loaded: tuple[Any, Any], tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    model, processor = loaded
    given = {"model": model, "processor": processor, "name": "mine"} | options
    with pytest.raises(UsageError) as refused:
        layerhouse.extract(dataset="digits", lake=tmp_path, **given)
    assert said in str(refused.value)
