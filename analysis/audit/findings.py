"""An audit's findings as sentences: what was seen, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from analysis.queries import read_query
from warehouse.catalogue import Warehouse

QUERIES = Path(__file__).parent / "queries"


@dataclass(frozen=True)
class AuditFinding:
    """A row of the view `audit_finding`: its kind, its subject if it has one, and it in words."""

    kind: str
    subject: str | None
    sentence: str


def read_findings(wh: Warehouse, dataset_id: str) -> list[AuditFinding] | None:
    """What the newest audit of a dataset found, the gravest first; None where there was none."""
    if not wh.sql(read_query(QUERIES, "audit"), {"dataset": dataset_id}).fetchall():
        return None
    rows = wh.sql(read_query(QUERIES, "findings"), {"dataset": dataset_id}).to_dicts()
    return sorted(
        (AuditFinding(row["finding"], row["subject"], _said(row)) for row in rows),
        key=lambda finding: list(_WORDS).index(finding.kind),
    )


def _said(row: dict[str, Any]) -> str:
    half = 1.96 * sqrt(0.16 / row["n"]) if row["finding"] == "small_split" and row["n"] else 1.0
    return _WORDS[row["finding"]].format_map({**row, "half": half})


_FIRST = "first {sample_id} and {other_sample_id}"
_WORDS = {
    "copies_under_two_labels": "{n:,} images are near-duplicates under two labels, "
    + _FIRST
    + ": one of the labels is wrong, or the image shows both",
    "copies_across_splits": "{n:,} images are near-duplicates in two splits, "
    + _FIRST
    + ": test scores are too high; --unite --into NEW makes a dataset that keeps them together",
    "copies_across_groups": "{n:,} images are near-duplicates in two groups, "
    + _FIRST
    + ": intervals are too narrow; --unite makes one group of them",
    "blank_images": "{n:,} images are blank (one grey everywhere), first {sample_id}",
    "small_split": "{subject} has {n} groups: an accuracy of 0.8 is known there to ±{half:.2f} "
    "only",
    "shortcut": "{subject} alone reads the class: balanced accuracy {balanced_accuracy:.3f} "
    "[{lower:.3f}, {upper:.3f}], chance {chance:.3f}",
    "label_suspects": "{n:,} test labels may be wrong: all probes, baselines and answers name "
    "another class, first {sample_id} (view label_suspect)",
}
"""Sentences by kind, the gravest first."""
