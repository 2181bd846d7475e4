"""The whole story on the shipped tiny model: healthy once, then with four known faults.

Nothing here is special to the demo: it calls what the commands call, in the order a user would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from analysis.baselines import baseline
from analysis.comparison import compare_all
from analysis.diagnosis import Diagnosis, diagnose
from analysis.probes import probe
from analysis.report import report
from extract import datasets
from extract.running import extract
from extract.sharing import ExtractRequest
from warehouse.lake import Lake

MODEL = "tiny-digits"
DATASET = "digits"
BASELINES = ("pixels-logistic", "texture-svm")
FAULTS: tuple[str | None, ...] = (
    None,
    "swap@vision:0.5",
    "swap@connector:0.5",
    "swap@llm.2:0.5",
    "head@answer:0.5",
)
"""One fault in each stage of the pipeline; the diagnosis is not told which."""


@dataclass(frozen=True)
class DemoRow:
    """One line of the demo's table: what was done to the model and what the diagnosis says."""

    fault: str | None
    diagnosis: Diagnosis


def demo(lake: Lake, out: Path, say: Callable[[str], None]) -> list[DemoRow]:
    """Run the demo into `lake`, write the report to `out`; `say` is told of every step."""
    datasets.resolve(lake, DATASET)
    for architecture in BASELINES:
        say(f"baseline {architecture} on {DATASET}")
        baseline(lake, DATASET, architecture)
    rows = [_row(lake, fault, say) for fault in FAULTS]
    say("compare each fault with the healthy model")
    compare_all(lake, datasets=[DATASET])
    report(lake, out, models=[row.diagnosis.model_id for row in rows], datasets=[DATASET])
    return rows


def _row(lake: Lake, fault: str | None, say: Callable[[str], None]) -> DemoRow:
    say(f"{MODEL}, {fault or 'healthy'}: extract, probe, diagnose")
    request = ExtractRequest(model=MODEL, dataset=DATASET, faults=(fault,) if fault else ())
    model_id = extract(lake, request).model_id
    # One shuffle instead of five: the whole story has two minutes.
    probe(lake, model_id, DATASET, seeds=1)
    return DemoRow(fault, diagnose(lake, model_id, DATASET))
