"""The real demo, explored; and a lake whose names want to be more than names."""

from __future__ import annotations

from pathlib import Path

import pytest

from layerhouse.explore import ExploredLake
from tests.conftest import Demo
from tests.lakes import Signals, synthetic_lake
from tests.layerhouse.explore.visitor import Visitor
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter

EVIL = "<script>alert(1)</script>"
MODEL = f'org/a+b&c="d"%20{EVIL}'
OTHER = "other#1?x"
DATASET = "shapes & <b>forms</b>"
SAMPLE = "image-00001"


@pytest.fixture(scope="session")
def visitor(demo: Demo) -> Visitor:
    """The explorer over the demo's lake, which has images and activations."""
    return Visitor(ExploredLake(demo.lake))


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two models by strange names on samples with an attribute, one of them on another dataset,
    where it was not asked; a reply that is a script."""
    place = tmp_path_factory.mktemp("hostile") / "lakehouse"
    asked = {"methods": ("generate",), "seeds": 1}
    models = {MODEL: Signals(answer=0.5, **asked), OTHER: Signals(**asked)}
    lake = synthetic_lake(place, models, dataset_id=DATASET, n_samples=120)
    mute = {OTHER: Signals(methods=(), modules=("vision",), seeds=1)}
    synthetic_lake(place, mute, dataset_id="more", n_samples=40, baseline=None)
    owner = {"dataset_id": DATASET, "sample_id": SAMPLE}
    reply = {
        **owner,
        "model_id": MODEL,
        "method": "generate",
        "prompt_id": "sly",
        "predicted_class_index": None,
        "text": f"{EVIL}\x1b[31m \u202e$model",
        "parsed": False,
        **dict.fromkeys(("label_logprobs", "finish_reason", "n_tokens", "raw_text", "options")),
        **dict.fromkeys(("label_logprobs_per_token", "label_pmi", "end_token")),
    }
    attributes = [
        {"dataset_id": DATASET, "sample_id": f"image-{i:05d}", "name": "view $x", "value": value}
        for i, value in enumerate(["a'p", EVIL] * 60)
    ]
    with RunWriter(lake, RunSpec("extract", MODEL, DATASET, {"prompt": "sly"})) as writer:
        writer.commit({"answer": [reply], "sample_attribute": attributes})
        writer.finish()
    return lake


@pytest.fixture(scope="session")
def stranger(hostile: Lake) -> Visitor:
    return Visitor(ExploredLake(hostile))


@pytest.fixture(scope="session")
def published(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's marts.duckdb in a folder, without what says who a patient is."""
    from warehouse.publishing import publish

    folder = tmp_path_factory.mktemp("published")
    publish(demo.lake, folder / "marts.duckdb")
    return folder
