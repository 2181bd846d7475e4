"""The scored samples of a model, as many as pass the filters, page by page."""

from __future__ import annotations

from typing import Any

from analysis.report import Row
from layerhouse.explore.pages.outcomes import LOST, OUTCOMES
from layerhouse.explore.visit import Visit
from warehouse.errors import UsageError, nearest

PER_PAGE = 48
ANY_LABEL, ANY_ANSWER = -1, -2
"""What the queries take for no filter; an answer of -1 names no class."""


def samples_page(visit: Visit) -> dict[str, Any]:
    """The samples of one page, and what they can be filtered by."""
    row = visit.pair()
    other, dataset = visit.other(row), row["dataset_id"]
    filters = _filters(visit, other)
    page = max(1, visit.number("page", 1))
    asked = {**filters, "model": row["model_id"], "dataset": dataset, "other": other}
    asked |= {"most": PER_PAGE, "start": PER_PAGE * (page - 1)}
    attributes = visit.rows("attributes", dataset=dataset) if visit.lake else []
    name = _attribute(visit, attributes)
    values: list[Row] = []
    if name:
        values = visit.rows("attribute_values", dataset=dataset, attribute=name)
    if name and visit.text("value"):
        held = {"attribute": name, "value": visit.text("value")}
        found = visit.rows("samples_with_attribute", **asked, **held)
    else:
        found = visit.rows("samples", **asked)
    n_found = found[0]["n_found"] if found else 0
    return {
        "row": row,
        "other": other,
        "others": visit.beside(row),
        "filters": filters,
        "outcomes": {LOST: "not answered right", **OUTCOMES},
        "classes": visit.rows("classes", dataset=dataset),
        "attributes": attributes,
        "attribute": name,
        "values": values,
        "value": visit.text("value") if name else "",
        "samples": found,
        "n_found": n_found,
        "page": page,
        "n_pages": -(-n_found // PER_PAGE),
    }


def _filters(visit: Visit, other: str) -> dict[str, str | int]:
    outcome = visit.text("outcome")
    if outcome and outcome not in (LOST, *OUTCOMES):
        raise UsageError(f"there is no outcome {outcome!r}{nearest(outcome, (LOST, *OUTCOMES))}")
    return {
        "outcome": outcome,
        "label": visit.number("label", ANY_LABEL),
        "answer": visit.number("answer", ANY_ANSWER),
        "differs": int(bool(other) and visit.text("differs") == "1"),
    }


def _attribute(visit: Visit, attributes: list[Row]) -> str:
    name = visit.text("attribute")
    known = [row["name"] for row in attributes]
    if name and name not in known:
        raise UsageError(f"the samples have no attribute {name!r}{nearest(name, known)}")
    return name
