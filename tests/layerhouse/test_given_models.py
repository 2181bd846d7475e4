"""A loaded model in the place of a name: the same numbers, under the name it was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import layerhouse
from extract.models.loading import load
from warehouse.errors import LayerhouseError, UsageError

OPTIONS: dict[str, Any] = {"limit": 12, "readout": "mean", "module": "llm", "answer": "likelihood"}


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = load("tiny-digits", device="cpu")
    return found.model, found.processor


def _vectors(lake: Path, model: str) -> np.ndarray[Any, Any]:
    with layerhouse.connect(lake) as wh:
        found, _ = wh.activations(
            model=model, dataset="digits", module="llm", layer=3, readout="mean"
        )
    return found


def test_a_loaded_model_gives_the_vectors_of_its_folder(
    loaded: tuple[Any, Any], tmp_path: Path
) -> None:
    model, processor = loaded
    layerhouse.extract("tiny-digits", "digits", lake=tmp_path, **OPTIONS)
    done = layerhouse.extract(
        model, "digits", processor=processor, name="mine", lake=tmp_path, **OPTIONS
    )
    assert (done.model_id, done.added, done.n_samples) == ("mine", True, 12)
    assert np.array_equal(_vectors(tmp_path, "mine"), _vectors(tmp_path, "tiny-digits"))
    again = layerhouse.extract(
        model, "digits", processor=processor, name="mine", lake=tmp_path, **OPTIONS
    )
    assert not again.added


def test_one_changed_weight_is_another_model_and_refused_under_the_name(
    loaded: tuple[Any, Any], tmp_path: Path
) -> None:
    model, processor = loaded

    def run() -> Any:
        return layerhouse.extract(
            model, "digits", processor=processor, name="mine", lake=tmp_path, **OPTIONS
        )

    run()
    with torch.no_grad():
        model.get_input_embeddings().weight[-1, -1] += 1
    with pytest.raises(LayerhouseError, match="mine on digits under another configuration"):
        run()


def test_a_fault_is_injected_and_training_goes_on_afterwards(
    loaded: tuple[Any, Any], tmp_path: Path
) -> None:
    model, processor = loaded
    model.train()
    done = layerhouse.extract(
        model,
        "digits",
        processor=processor,
        name="mine",
        lake=tmp_path,
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
