"""Where an answer rests on likelihoods, users are told what else than the image decided it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from layerhouse.cli import main
from tests.lakes import MadeUpDataset, Signals, synthetic_lake
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter

N = 160
ASKED = ("--model", "alpha", "--dataset", "shapes")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    path = tmp_path_factory.mktemp("likelihoods") / "lake"
    lake = synthetic_lake(path, {"alpha": Signals(methods=())}, n_samples=N)
    with RunWriter(lake, RunSpec("extract", "alpha", "shapes", {})) as writer:
        writer.commit({"answer": _answers(MadeUpDataset.draw("shapes", N))})
        writer.finish()
    return lake


def _answers(data: MadeUpDataset) -> list[dict[str, Any]]:
    """By the sum, the short name of class 0 wins; per token, the true class; of 5 one is a tie."""
    lengths, rows = np.array([1, 2, 4, 4]), []
    for number, (sample_id, true) in enumerate(zip(data.sample_ids, data.class_index, strict=True)):
        per_token = np.where(np.arange(4) == true, -1.0, -1.5)
        sums = per_token * lengths if number % 5 else np.full(4, -4.0)
        rows.append(
            {
                **{"model_id": "alpha", "dataset_id": "shapes", "sample_id": str(sample_id)},
                "method": "likelihood",
                "predicted_class_index": int(sums.argmax()),
                "label_logprobs": sums.tolist(),
                "label_logprobs_per_token": (sums / lengths).tolist(),
                "label_pmi": (sums + 2.0).tolist(),
                "end_token": "</s>",
                "parsed": True,
                **dict.fromkeys(("text", "finish_reason", "n_tokens", "raw_text", "options")),
            }
        )
    return rows


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert not ended.value.code
    return capsys.readouterr().out


def test_status_counts_ties(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(capsys, "status", "--lake", str(lake.root))
    assert f"likelihood {N} ({N // 5} tied)" in said


@pytest.mark.slow
def test_a_verdict_names_ties_and_the_effect_of_lengths(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(capsys, "diagnose", *ASKED, "--lake", str(lake.root))
    (note,) = (line for line in said.splitlines() if line.startswith("Note: "))
    assert "% of the answers by likelihood are ties, which go to the first" in note
    assert "the answer by likelihood rests on how long the class names are: per token, " in note
    page = tmp_path / "report.html"
    run(capsys, "report", "--out", str(page), "--lake", str(lake.root))
    shown = page.read_text("utf-8")
    assert note in shown
    assert "% are ties, which go to the first of their classes. Per token of" in shown
    out = tmp_path / "marts.duckdb"
    run(capsys, "publish", "--out", str(out), "--lake", str(lake.root))
    with duckdb.connect(str(out), read_only=True) as con:
        told = con.sql("SELECT DISTINCT reason FROM mart_failure_modes").fetchall()
    assert told == [(note.removeprefix("Note: "),)]
