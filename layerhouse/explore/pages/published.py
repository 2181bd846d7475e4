"""A model as its published marts have it, in the form that the report's figures take."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from analysis.diagnosis import Finding
from analysis.report import EvidenceMaps, ModelPage, Row, Table, Trials, ask, read_table
from layerhouse.explore.visit import QUERIES, Visit

NOTHING = Table([], "")
EMPTY: tuple[Any, ...] = (
    *("marks", "repairs", "causal", "restoration", "ownership", "steering", "nuisance", "border"),
    *("lens", "prompts", "reliance", "lost", "readers", "runs"),
)
"""What the figures of a model take and no mart holds."""


def published_model(visit: Visit, row: Row) -> ModelPage:
    """What the figures draw of the model and dataset of a row of `grid`. What no mart holds is
    empty, and so are sentence, story and marks."""
    names = {"model": row["model_id"], "dataset": row["dataset_id"]}

    def own(name: str) -> Table:
        return ask(visit.wh, QUERIES, f"published_{name}", **names)

    stages = own("stages")
    losses = read_table(visit.wh, "losses", **names)
    held: dict[str, Any] = {
        "loci": own("loci"),
        "curve": own("curve"),
        "signals": stages,
        "answers": Table([each for each in stages.rows if each["stage"] == "answer"], stages.sql),
        "losses": losses,
        "health": read_table(visit.wh, "health", **names),
        "baselines": _reference(losses, row),
        "classes": ask(visit.wh, QUERIES, "classes", dataset=row["dataset_id"]),
        "confusion": own("confusion"),
    }
    return ModelPage(
        key="m",
        model_id=row["model_id"],
        dataset_id=row["dataset_id"],
        finding=_finding(row, losses),
        sentence="",
        story=(),
        maps=EvidenceMaps({}, [], []),
        trials=Trials(*[NOTHING] * len(fields(Trials))),
        **held,
        **dict.fromkeys(EMPTY, NOTHING),
    )


def _finding(row: Row, losses: Table) -> Finding:
    first = losses.first
    return Finding(
        modes=(),
        margin=0.0 if first is None else first["margin"],
        reason=row["reason"],
        answered=row["answer_accuracy"],
        lost=row["total_loss"],
        score=row["score"],
    )


def _reference(losses: Table, row: Row) -> Table:
    """The baseline that is the reference; which one it was, no mart says."""
    first = losses.first
    if first is None or first["reference_source"] != "baseline":
        return NOTHING
    best = {"architecture": "best baseline", "test_accuracy": row["reference_accuracy"]}
    return Table([best], losses.sql)
