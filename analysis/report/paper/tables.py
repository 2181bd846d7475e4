"""The tables of one dataset as a paper prints them, their numbers those of the marts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from analysis.report.paper.markup import Field, Grid
from analysis.report.reading import DatasetPage, Row
from analysis.report.words import MISSING, VERDICTS, WHAT_TO_RUN, measured, score
from warehouse.vocabulary import FAILURE_MODES

MODES = tuple(FAILURE_MODES.values())


@dataclass(frozen=True)
class PrintedTable:
    """How a table is made of a page and its models' losses; `missing`: why it may be empty."""

    of: Callable[[DatasetPage, Sequence[Row]], Grid]
    missing: str


def _leaderboard(page: DatasetPage, _losses: Sequence[Row]) -> Grid:
    rows = page.leaderboard.rows
    headers = ["Model", "Verdict", "Answer (%) [95%]", "Reference (%)", "After vision (%)"]
    headers += ["After connector (%)", "After LLM (%)", "Retained (%)", "Total loss (points)"]
    return Grid(
        f"Models by answer {measured(page.facts['score'])} on test of {page.dataset_id}",
        [*headers, "FHS"],
        2,
        [
            [
                Field(row["model_id"]),
                Field(VERDICTS[row["verdict"]].title),
                Field(interval(row["answer_accuracy"], row["answer_lower"], row["answer_upper"])),
                *(Field(signed(row[name])) for name in _LEADERBOARD),
                Field(score(row["overall_health"])),
            ]
            for row in rows
        ],
        [{"dataset_id": page.dataset_id, **row} for row in rows],
    )


_LEADERBOARD = (
    "reference_accuracy",
    "vision_accuracy",
    "connector_accuracy",
    "llm_accuracy",
    "retained_signal",
    "total_loss",
)


def _losses(page: DatasetPage, losses: Sequence[Row]) -> Grid:
    rows = []
    for model_id, own in groupby(losses, key=lambda row: row["model_id"]):
        by_mode = {row["failure_mode"]: row for row in own}
        first, last = (by_mode.get(mode, {}) for mode in (MODES[0], MODES[-1]))
        verdict = next(iter(by_mode.values()))["verdict"]
        rows.append(
            [
                Field(model_id),
                Field(VERDICTS[verdict].title),
                Field(signed(first.get("accuracy_before"))),
                *(_loss(by_mode.get(mode)) for mode in MODES),
                Field(signed(last.get("accuracy_after"))),
            ]
        )
    modes = [f"{_headed(VERDICTS[mode].title)} [95%]" for mode in MODES]
    return Grid(
        f"Losses in points of {measured(page.facts['score'])} on test of {page.dataset_id}; bold: "
        "present",
        ["Model", "Verdict", "Reference (%)", *modes, "Answer (%)"],
        2,
        rows,
        losses,
    )


def _loss(row: Row | None) -> Field:
    if row is None:
        return Field(MISSING)
    return Field(
        interval(row["loss"], row["loss_lower"], row["loss_upper"]), bool(row["is_present"])
    )


def _baselines(page: DatasetPage, _losses: Sequence[Row]) -> Grid:
    rows = page.baselines.rows
    return Grid(
        f"Baselines on {page.dataset_id}, {measured(page.facts['score'])}; the first is the one "
        "chosen on val",
        ["Architecture", "Val (%)", "Test (%)", "Test images", "Seeds"],
        1,
        [
            [
                Field(row["architecture"]),
                Field(signed(row["val_accuracy"])),
                Field(signed(row["test_accuracy"])),
                Field(str(row["n_test"])),
                Field(str(row["n_seeds"])),
            ]
            for row in rows
        ],
        [{"dataset_id": page.dataset_id, **row} for row in rows],
    )


def _pairs(page: DatasetPage, _losses: Sequence[Row]) -> Grid:
    rows = page.pairs.rows
    return Grid(
        f"Pairs of models on {page.dataset_id}, {measured(page.facts['score'])}; bold: they differ "
        "for certain",
        ["Model", "Base", "Stage", "Quantity", "Model's", "Base's", "Difference [95%]"],
        4,
        [_pair(row) for row in rows],
        [{"dataset_id": page.dataset_id, **row} for row in rows],
    )


IN_POINTS = {"accuracy": "score (%)", "loss": "loss (points)"}
"""Quantities that are shares of the test images; others have no unit."""


def _pair(row: Row) -> list[Field]:
    quantity = row["quantity"]
    factor, digits = (100, 1) if quantity in IN_POINTS else (1, 3)
    own, base = (signed(row[name], factor, digits) for name in ("value", "base_value"))
    ends = row["difference"], row["difference_lower"], row["difference_upper"]
    named = IN_POINTS.get(quantity, quantity.replace("_", " "))
    return [
        *(Field(text) for text in (row["model_id"], row["base_model_id"], row["stage"], named)),
        Field(own),
        Field(base),
        Field(interval(*ends, factor, digits), bool(row["is_different"])),
    ]


def signed(value: float | None, factor: float = 100, digits: int = 1) -> str:
    """A number with a true minus sign, none before zero: '−30.1', '0.0'."""
    if value is None:
        return MISSING
    text = f"{abs(factor * value):.{digits}f}"
    return f"−{text}" if value < 0 and float(text) else text


def interval(
    value: float | None,
    lower: float | None,
    upper: float | None,
    factor: float = 100,
    digits: int = 1,
) -> str:
    """'44.3 [38.9, 49.3]', without the brackets where there are no bounds."""
    said = signed(value, factor, digits)
    if value is None or lower is None or upper is None:
        return said
    return f"{said} [{signed(lower, factor, digits)}, {signed(upper, factor, digits)}]"


def _headed(words: str) -> str:
    """Words as the head of a column."""
    return f"{words[:1].upper()}{words[1:]}".replace("Llm", "LLM")


TABLES: Mapping[str, PrintedTable] = {
    "leaderboard": PrintedTable(_leaderboard, "no model has answers or probes"),
    "losses": PrintedTable(_losses, f"no model was diagnosed: {WHAT_TO_RUN}"),
    "baselines": PrintedTable(_baselines, f"no baseline was trained: {WHAT_TO_RUN}"),
    "pairs": PrintedTable(_pairs, "no two models were compared: run `layerhouse compare`"),
}
