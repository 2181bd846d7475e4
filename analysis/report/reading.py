"""Everything the report shows, read from the warehouse once: one query per figure or table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.audit import read_findings
from analysis.diagnosis import (
    Chapter,
    FamilyLoss,
    Finding,
    family_losses,
    read_evidence,
    read_finding,
    read_marks,
    sentence,
    story,
)
from analysis.queries import read_query
from analysis.report.asking import Parameter, Row, Table, ask
from analysis.report.evidence import EvidenceMaps, evidence_maps
from analysis.report.thumbnails import thumbnail
from warehouse.catalogue import Catalogue, Warehouse
from warehouse.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

QUERIES = Path(__file__).parent / "queries"

IN_FULL = 40
"""Models, each on a dataset, that one page of a report shows in full: some 150 kB each."""


@dataclass(frozen=True)
class LostImages:
    """The images that one stage lost: how many, and a few to look at."""

    stage: str
    n: int
    shown: list[Row]
    """Rows of `lost_samples`, each with its `thumbnail` (None where the image cannot be read) and
    its `maps`."""


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
    story: tuple[Chapter, ...]
    marks: Table
    repairs: Table
    loci: Table
    curve: Table
    causal: Table
    restoration: Table
    ownership: Table
    steering: Table
    nuisance: Table
    border: Table
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
    readers: Table
    maps: EvidenceMaps
    """Of lost images that are shown: where in them their class is readable."""
    trials: Trials
    runs: Table
    commands: Table

    def with_commands(self, template: str) -> str | None:
        """Words with the commands that they name written out, `{making}` and the like being a row
        of `commands`; None where nobody knows them, as of a published file."""
        named = self.commands.first
        return None if named is None else template.format(**named)

    @property
    def is_brought(self) -> bool:
        """Whether another program took its states; as far as runs are known."""
        return any(row["command"] == "import" for row in self.runs.rows if row["model_id"])

    def signal(self, stage: str) -> Row | None:
        return next((row for row in self.signals.rows if row["stage"] == stage), None)

    @cached_property
    def lost_images(self) -> list[LostImages]:
        """In pipeline order; stages that lost none are absent."""
        found = []
        for stage, rows in groupby(self.lost.rows, key=lambda row: row["lost_at"]):
            shown = [
                {**row, "thumbnail": thumbnail(row["uri"]), "maps": self.maps.of[row["sample_id"]]}
                for row in rows
            ]
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
    """Those of the leaderboard that this page of the report shows in full."""

    @cached_property
    def keys(self) -> dict[str, str]:
        """Where models are shown in full, by their id."""
        return {model.model_id: model.key for model in self.models}

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
    """One page of the report; `standing` sets all models and datasets beside each other."""

    standing: Table
    datasets: list[DatasetPage]
    images: int
    """The bound on lost images per model and stage; 0 leaves them out."""
    number: int
    n_pages: int

    @property
    def n_in_full(self) -> int:
        return sum(len(page.models) for page in self.datasets)


def read_pages(
    wh: Warehouse,
    pairs: list[tuple[str, str]],
    shown: int,
    number: int = 1,
    *,
    most: int | None = None,
) -> Pages:
    """The page of that `number`, from 1, of a report on these (model_id, dataset_id).

    Tables are of all of them, grouped by dataset in their order; in full it shows `most` of
    them (by default IN_FULL), best answer first. `shown` bounds the images per model and stage.
    Raises UsageError for a page that there is not.
    """
    datasets = list(dict.fromkeys(dataset_id for _, dataset_id in pairs))
    models = sorted({model_id for model_id, _ in pairs})
    most = IN_FULL if most is None else most
    n_pages = -(-len(pairs) // most)
    if not 1 <= number <= n_pages:
        pages = "1 page" if n_pages == 1 else f"{n_pages} pages"
        raise UsageError(f"the report has {pages}; there is no page {number}")
    boards = {
        name: read_table(
            wh,
            "leaderboard",
            dataset=name,
            models=[m for m, dataset_id in pairs if dataset_id == name],
        )
        for name in datasets
    }
    in_order = [(row["model_id"], name) for name, board in boards.items() for row in board.rows]
    in_full = in_order[(number - 1) * most : number * most]
    return Pages(
        standing=read_table(wh, "standing", models=models, datasets=datasets),
        datasets=[
            _read_dataset(wh, name, f"d{at}", board, [m for m, d in in_full if d == name], shown)
            for at, (name, board) in enumerate(boards.items())
        ],
        images=shown,
        number=number,
        n_pages=n_pages,
    )


def read_table(wh: Catalogue, name: str, **parameters: Parameter) -> Table:
    """The rows of `queries/<name>.sql`."""
    return ask(wh, QUERIES, name, **parameters)


def _read_dataset(
    wh: Warehouse, dataset_id: str, key: str, board: Table, in_full: list[str], shown: int
) -> DatasetPage:
    found = read_findings(wh, dataset_id)
    (facts,) = read_table(wh, "datasets", dataset=dataset_id).rows
    shared = {name: read_table(wh, name, dataset=dataset_id) for name in ("baselines", "classes")}
    return DatasetPage(
        key=key,
        dataset_id=dataset_id,
        facts=facts,
        baselines=shared["baselines"],
        leaderboard=board,
        pairs=read_table(wh, "pair_differences", dataset=dataset_id, models=in_full),
        audit=None if found is None else [finding.sentence for finding in found],
        classes=read_table(wh, "class_images", dataset=dataset_id, shown=shown),
        models=[
            _read_model(wh, model_id, dataset_id, f"{key}m{number}", shared, shown)
            for number, model_id in enumerate(in_full)
        ],
    )


def read_families(wh: Warehouse, pages: Pages) -> dict[str, list[FamilyLoss]]:
    """By dataset the losses of the models shown in full, with bounds that hold for all at once;
    none of a single model."""
    return {
        page.dataset_id: _read_family(wh, page.dataset_id, [m.model_id for m in page.models])
        for page in pages.datasets
    }


def _read_family(wh: Warehouse, dataset_id: str, models: list[str]) -> list[FamilyLoss]:
    rows = read_table(wh, "diagnosed_models", dataset=dataset_id, models=models).rows
    diagnosed = [row["model_id"] for row in rows]
    if len(diagnosed) < 2:
        return []
    return family_losses({name: read_evidence(wh, name, dataset_id) for name in diagnosed})


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
    marks = read_marks(wh, model_id, dataset_id)
    runs = read_table(wh, "runs", **names)
    for run in runs.rows:
        run["versions"] = json.loads(run["versions"])
    lost = read_table(wh, "lost_samples", **names, shown=shown)
    readers = read_table(wh, "evidence_readers", **names)
    return ModelPage(
        key=key,
        model_id=model_id,
        dataset_id=dataset_id,
        finding=finding,
        sentence=sentence(finding, marks),
        story=story(finding, marks),
        marks=read_table(wh, "marks", **names),
        repairs=read_table(wh, "repairs", **names),
        loci=read_table(wh, "loci", model=model_id),
        curve=read_table(wh, "signal_curve", **names),
        causal=read_table(wh, "causal", **names),
        restoration=read_table(wh, "restoration", **names),
        ownership=read_table(wh, "ownership", **names),
        steering=read_table(wh, "steering", **names),
        nuisance=read_table(wh, "nuisance", **names),
        border=read_table(wh, "border", **names),
        signals=read_table(wh, "stage_signals", **names),
        losses=read_table(wh, "losses", **names),
        health=read_table(wh, "health", **names),
        answers=read_table(wh, "answers", **names),
        **shared,
        confusion=read_table(wh, "confusion", **names),
        lens=read_table(wh, "lens", **names),
        prompts=read_table(wh, "prompts", **names),
        reliance=read_table(wh, "reliance", **names),
        lost=lost,
        readers=readers,
        maps=evidence_maps(readers.rows, lost.rows, partial(image_tokens, wh, names)),
        trials=Trials(*(read_table(wh, f"trial_{part.name}", **names) for part in fields(Trials))),
        runs=runs,
        commands=read_table(wh, "commands", **names),
    )


def image_tokens(
    wh: Warehouse, names: Mapping[str, str], module: str, layer: int, samples: list[str]
) -> pl.DataFrame:
    """The kept image tokens of some samples in order: sample_id, row, column, vector."""
    asked = {**names, "module": module, "layer": layer, "samples": samples}
    return wh.sql(read_query(QUERIES, "evidence_tokens"), asked).pl()
