"""Everything the report shows, read from the warehouse once: one query per figure or table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.diagnosis.diagnosis import read_finding
from analysis.diagnosis.wording import Finding, sentence
from analysis.queries import read_query
from warehouse.connection import Warehouse

QUERIES = Path(__file__).parent / "queries"

Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """The rows of one query, and the query as a reader can paste it into `layerhouse sql`."""

    rows: list[Row]
    sql: str

    @property
    def first(self) -> Row | None:
        return self.rows[0] if self.rows else None


@dataclass(frozen=True)
class ModelPage:
    """One model on one dataset."""

    key: str
    model_id: str
    dataset_id: str
    finding: Finding
    sentence: str
    loci: Table
    curve: Table
    signals: Table
    losses: Table
    health: Table
    answers: Table
    baselines: Table
    runs: Table

    def signal(self, stage: str) -> Row | None:
        return next((row for row in self.signals.rows if row["stage"] == stage), None)


@dataclass(frozen=True)
class DatasetPage:
    """One dataset with the models that were run on it, best answer first."""

    key: str
    dataset_id: str
    facts: Row
    baselines: Table
    leaderboard: Table
    models: list[ModelPage]


def read_pages(wh: Warehouse, pairs: list[tuple[str, str]]) -> list[DatasetPage]:
    """Pages of these (model_id, dataset_id), grouped by dataset in their order."""
    datasets = dict.fromkeys(dataset_id for _, dataset_id in pairs)
    return [
        _read_dataset(wh, dataset_id, f"d{number}", [m for m, d in pairs if d == dataset_id])
        for number, dataset_id in enumerate(datasets)
    ]


def read_table(wh: Warehouse, name: str, **parameters: str) -> Table:
    """The rows of `queries/<name>.sql`."""
    query = read_query(QUERIES, name)
    rows = wh.sql(query, parameters).pl().to_dicts()
    return Table(rows, _with_literals(query, parameters))


def _with_literals(query: str, parameters: dict[str, str]) -> str:
    """The query with its parameters written out, comments left away."""
    lines = [line for line in query.splitlines() if not line.lstrip().startswith("--")]
    text = "\n".join(lines)
    for name, value in parameters.items():
        literal = "'" + value.replace("'", "''") + "'"
        text = text.replace(f"${name}", literal)
    return text


def _read_dataset(wh: Warehouse, dataset_id: str, key: str, model_ids: list[str]) -> DatasetPage:
    board = read_table(wh, "leaderboard", dataset=dataset_id)
    shown = [row for row in board.rows if row["model_id"] in model_ids]
    baselines = read_table(wh, "baselines", dataset=dataset_id)
    (facts,) = read_table(wh, "datasets", dataset=dataset_id).rows
    return DatasetPage(
        key=key,
        dataset_id=dataset_id,
        facts=facts,
        baselines=baselines,
        leaderboard=Table(shown, board.sql),
        models=[
            _read_model(wh, row["model_id"], dataset_id, f"{key}m{number}", baselines)
            for number, row in enumerate(shown)
        ],
    )


def _read_model(
    wh: Warehouse, model_id: str, dataset_id: str, key: str, baselines: Table
) -> ModelPage:
    names = {"model": model_id, "dataset": dataset_id}
    finding = read_finding(wh, model_id, dataset_id)
    runs = read_table(wh, "runs", **names)
    for run in runs.rows:
        run["versions"] = json.loads(run["versions"])
    return ModelPage(
        key=key,
        model_id=model_id,
        dataset_id=dataset_id,
        finding=finding,
        sentence=sentence(finding),
        loci=read_table(wh, "loci", model=model_id),
        curve=read_table(wh, "signal_curve", **names),
        signals=read_table(wh, "stage_signals", **names),
        losses=read_table(wh, "losses", **names),
        health=read_table(wh, "health", **names),
        answers=read_table(wh, "answers", **names),
        baselines=baselines,
        runs=runs,
    )
