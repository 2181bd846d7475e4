"""`layerhouse power`, as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import layerhouse
from layerhouse.cli import main
from tests.lakes import Signals, synthetic_lake
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter


def run(lake: Lake, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["power", *arguments, "--lake", str(lake)])
    return int(ended.value.code or 0)


def test_power_is_told_before_and_after_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {"tiny": Signals.losing(connector=0.3), "api": Signals(modules=())}
    lake = synthetic_lake(tmp_path / "lake", models, n_samples=400, group_size=2)
    assert run(lake, "--dataset", "shapes") == 0
    said = capsys.readouterr().out
    assert "100 test images in 50 groups tell as much of accuracy as 50 independent ones" in said
    assert "5.0 points" in said
    assert "Of tiny" not in said
    assert run(lake, "--dataset", "shapes", "--model", "tiny") == 0
    said, dash, _ = capsys.readouterr().out.partition("-: no number of images settles it, ")
    assert dash
    stages = [line.split()[0] for line in said.splitlines()[-5:]]
    assert stages == ["vision", "connector", "llm", "answer", "total"]

    assert run(lake, "--dataset", "shapes", "--model", "tiny", "--format", "json") == 0
    told = json.loads(capsys.readouterr().out)
    found = layerhouse.power("shapes", "tiny", lake=lake.root)
    assert told["n_effective"] == found.n_effective
    assert told["sizes"][0] == {
        "loss": float(found.sizes[0].loss),
        "least_images": found.sizes[0].least_images,
        "likely_images": found.sizes[0].likely_images,
    }
    (lost,) = [stage for stage in found.stages if stage.stage == "connector"]
    assert lost.loss == pytest.approx(0.3, abs=0.1)
    assert lost.n_to_settle is not None
    assert lost.n_to_settle < 100
    assert 50 <= lost.n_effective <= 100


def test_what_has_no_power_is_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {"tiny": Signals(), "api": Signals(modules=())}
    lake = synthetic_lake(tmp_path / "lake", models, n_samples=80)
    with RunWriter(lake, RunSpec("datasets-add", None, "bare", {})) as writer:
        row = {"dataset_id": "bare", "title": "Bare", "n_samples": 0, "n_classes": 0}
        row |= {"licence": None, "pixel_rule": None}
        writer.commit({"dataset": [row]}, finished=True)
    for asked, code, said in (
        (["--dataset", "shape"], 2, "no dataset 'shape'; did you mean"),
        (["--dataset", "shapes", "--model", "tinny"], 2, "no model 'tinny'; did you mean"),
        (["--dataset", "shapes", "--model", "api"], 1, "no two stages"),
        (["--dataset", "bare"], 1, "bare has no labelled test images"),
    ):
        assert run(lake, *asked) == code
        assert said in capsys.readouterr().err
