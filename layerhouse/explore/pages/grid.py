"""The first page: every model on every dataset."""

from __future__ import annotations

from typing import Any

from analysis.report import read_table
from layerhouse.explore.visit import Visit


def grid_page(visit: Visit) -> dict[str, Any]:
    """Models are rows, the best on the first dataset first; datasets are columns."""
    rows = visit.rows("grid")
    return {
        "unread": read_table(visit.wh, "unread").rows if visit.lake else [],
        "datasets": {row["dataset_id"]: row["dataset_title"] for row in rows},
        "models": list(dict.fromkeys(row["model_id"] for row in rows)),
        "cells": {(row["model_id"], row["dataset_id"]): row for row in rows},
    }
