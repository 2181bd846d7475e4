"""A model as its published marts have it, in the form that the report's figures take."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from analysis.diagnosis import Finding, read_finding, read_marks, sentence
from analysis.report import EvidenceMaps, ModelPage, Row, Table, Trials, ask, read_table
from layerhouse.explore.visit import QUERIES, Visit

NOTHING = Table([], "")
EMPTY: tuple[Any, ...] = (
    *("marks", "repairs", "restoration", "ownership", "steering", "nuisance", "border"),
    *("lens", "prompts", "reliance", "lost", "readers", "runs", "commands"),
)
"""What the figures of a model take and no mart holds."""


def published_model(visit: Visit, row: Row) -> ModelPage:
    """What the figures draw of the model and dataset of a row of `grid`. What no mart holds is
    empty, and so are story and marks; of a file that an older Layerhouse wrote also the sentence
    and the causal curve."""
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
        "baselines": NOTHING,
        "classes": ask(visit.wh, QUERIES, "classes", dataset=row["dataset_id"]),
        "confusion": own("confusion"),
    }
    finding, said = _finding(row, losses), ""
    held["causal"] = NOTHING
    if tells_all(visit):
        finding = read_finding(visit.wh, *names.values())
        said = sentence(finding, read_marks(visit.wh, *names.values()))
        held["causal"] = read_table(visit.wh, "causal", **names)
        held["baselines"] = own("baseline")
    return ModelPage(
        key="m",
        model_id=row["model_id"],
        dataset_id=row["dataset_id"],
        finding=finding,
        sentence=said,
        story=(),
        maps=EvidenceMaps({}, [], []),
        trials=Trials(*[NOTHING] * len(fields(Trials))),
        **held,
        **dict.fromkeys(EMPTY, NOTHING),
    )


def tells_all(visit: Visit) -> bool:
    """Whether the file holds what sentences and causal curves are of."""
    query = (
        "SELECT count(*) FROM duckdb_columns() WHERE (table_name, column_name) IN "
        "(('mart_causal_flow', 'control_n'), ('mart_evidence', 'tried'), "
        "('mart_repairs', 'repair'))"
    )
    ((n,),) = visit.wh.sql(query).fetchall()
    return bool(n == 3)


def _finding(row: Row, losses: Table) -> Finding:
    """As far as a file of an older version tells."""
    first = losses.first
    return Finding(
        modes=(),
        margin=0.0 if first is None else first["margin"],
        reason=row["reason"],
        answered=row["answer_accuracy"],
        lost=row["total_loss"],
        score=row["score"],
    )
