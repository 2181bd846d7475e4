"""Everything the report shows, read from the warehouse once: one query per figure or table."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from analysis.audit import read_findings
from analysis.diagnosis import Finding, read_finding, sentence
from analysis.queries import read_query
from analysis.report.thumbnails import thumbnail
from warehouse.catalogue import Warehouse
from warehouse.schema import quoted

QUERIES = Path(__file__).parent / "queries"

Row = dict[str, Any]
Parameter = str | int | list[str]


@dataclass(frozen=True)
class Table:
    """The rows of one query, and the query as a reader can paste it into `layerhouse sql`."""

    rows: list[Row]
    sql: str

    @property
    def first(self) -> Row | None:
        return self.rows[0] if self.rows else None


@dataclass(frozen=True)
class LostImages:
    """The images that one stage lost: how many, and a few to look at."""

    stage: str
    n: int
    shown: list[Row]
    """Rows of `lost_samples`, each with its `thumbnail` (None where the image cannot be read)."""


@dataclass(frozen=True)
class Trials:
    """What the self-test of the diagnosis found on one model and dataset; all empty without one."""

    verdicts: Table
    summary: Table
    detection: Table
    kinds: Table
    pairs: Table


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
    classes: Table
    confusion: Table
    lens: Table
    prompts: Table
    reliance: Table
    lost: Table
    trials: Trials
    runs: Table

    def signal(self, stage: str) -> Row | None:
        return next((row for row in self.signals.rows if row["stage"] == stage), None)

    @cached_property
    def lost_images(self) -> list[LostImages]:
        """In pipeline order; stages that lost none are absent."""
        found = []
        for stage, rows in groupby(self.lost.rows, key=lambda row: row["lost_at"]):
            shown = [{**row, "thumbnail": thumbnail(row["uri"])} for row in rows]
            found.append(LostImages(stage, shown[0]["n_lost"], shown))
        return found


@dataclass(frozen=True)
class DatasetPage:
    """One dataset with the models that were run on it, best answer first."""

    key: str
    dataset_id: str
    facts: Row
    baselines: Table
    leaderboard: Table
    pairs: Table
    classes: Table
    audit: list[str] | None
    """What an audit of the images found, in words; None where there was none."""
    models: list[ModelPage]

    @cached_property
    def class_images(self) -> list[tuple[Row, list[Row]]]:
        """Of each class a row and the images to look at, each with its `thumbnail`."""
        found = []
        for _, rows in groupby(self.classes.rows, key=lambda row: row["class_index"]):
            shown = [{**row, "thumbnail": thumbnail(row["uri"])} for row in rows]
            found.append((shown[0], shown))
        return found


@dataclass(frozen=True)
class Pages:
    """The whole report; `standing` sets all models and datasets beside each other."""

    standing: Table
    datasets: list[DatasetPage]
    images: int
    """The bound on lost images per model and stage; 0 leaves them out."""


def read_pages(wh: Warehouse, pairs: list[tuple[str, str]], shown: int) -> Pages:
    """Pages of these (model_id, dataset_id), grouped by dataset in their order.

    `shown` bounds the images per model and stage.
    """
    datasets = list(dict.fromkeys(dataset_id for _, dataset_id in pairs))
    models = sorted({model_id for model_id, _ in pairs})
    return Pages(
        standing=read_table(wh, "standing", models=models, datasets=datasets),
        datasets=[
            _read_dataset(
                wh, dataset_id, f"d{number}", [m for m, d in pairs if d == dataset_id], shown
            )
            for number, dataset_id in enumerate(datasets)
        ],
        images=shown,
    )


def read_table(wh: Warehouse, name: str, **parameters: Parameter) -> Table:
    """The rows of `queries/<name>.sql`."""
    query = read_query(QUERIES, name)
    rows = wh.sql(query, parameters).pl().to_dicts()
    return Table(rows, _with_literals(query, parameters))


def _with_literals(query: str, parameters: Mapping[str, Parameter]) -> str:
    """The query with its parameters written out, comments left away."""
    lines = [line for line in query.splitlines() if not line.lstrip().startswith("--")]
    # In one pass, since a name from the lake may look like a parameter itself.
    return re.sub(r"\$([a-z]+)", lambda match: _literal(parameters[match[1]]), "\n".join(lines))


def _literal(value: Parameter) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return str(value) if isinstance(value, int) else quoted(value)


def _read_dataset(
    wh: Warehouse, dataset_id: str, key: str, model_ids: list[str], shown: int
) -> DatasetPage:
    found = read_findings(wh, dataset_id)
    board = read_table(wh, "leaderboard", dataset=dataset_id, models=model_ids)
    (facts,) = read_table(wh, "datasets", dataset=dataset_id).rows
    shared = {name: read_table(wh, name, dataset=dataset_id) for name in ("baselines", "classes")}
    return DatasetPage(
        key=key,
        dataset_id=dataset_id,
        facts=facts,
        baselines=shared["baselines"],
        leaderboard=board,
        pairs=read_table(wh, "pair_differences", dataset=dataset_id, models=model_ids),
        audit=None if found is None else [finding.sentence for finding in found],
        classes=read_table(wh, "class_images", dataset=dataset_id, shown=shown),
        models=[
            _read_model(wh, row["model_id"], dataset_id, f"{key}m{number}", shared, shown)
            for number, row in enumerate(board.rows)
        ],
    )


def _read_model(
    wh: Warehouse,
    model_id: str,
    dataset_id: str,
    key: str,
    shared: dict[str, Table],
    shown: int,
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
        **shared,
        confusion=read_table(wh, "confusion", **names),
        lens=read_table(wh, "lens", **names),
        prompts=read_table(wh, "prompts", **names),
        reliance=read_table(wh, "reliance", **names),
        lost=read_table(wh, "lost_samples", **names, shown=shown),
        trials=Trials(*(read_table(wh, f"trial_{part.name}", **names) for part in fields(Trials))),
        runs=runs,
    )
