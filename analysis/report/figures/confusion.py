"""The label, the last probe and the answer set against each other."""

from __future__ import annotations

from analysis.report.figures.heatmap import Matrix, alone, draw_matrices
from analysis.report.reading import ModelPage, Row
from analysis.report.svg import Drawing

COMPARISONS = {
    "label_probe": ("Last probe", "label", "last probe says"),
    "label_answer": ("Answer", "label", "model answers"),
    "probe_answer": ("What is known and said", "last probe says", "model answers"),
}


def confusion(page: ModelPage) -> Drawing | None:
    """Up to three matrices; None while there is neither a last probe nor an answer."""
    rows = {
        name: [row for row in page.confusion.rows if row["comparison"] == name]
        for name in COMPARISONS
    }
    matrices = [_matrix(page, name, found) for name, found in rows.items() if found]
    if not matrices:
        return None
    agreed = "; ".join(f"{m.title}: {_agreement(m)}" for m in matrices)
    return Drawing(
        f"{page.key}-confusion",
        lambda figure, is_narrow: draw_matrices(matrices, figure, beside=not is_narrow),
        f"Confusion matrices of {page.model_id} on {page.dataset_id}",
        f"{agreed}. Rows against columns, in numbers of test images.",
        wide=300,
        narrow=350 * len(matrices),
        panels=alone(matrices),
    )


def _matrix(page: ModelPage, comparison: str, rows: list[Row]) -> Matrix:
    title, row_title, column_title = COMPARISONS[comparison]
    labels = {row["class_index"]: row["label"] for row in page.classes.rows}
    places = {index: place for place, index in enumerate(labels)}
    silent = any(row["column_class_index"] is None for row in rows)
    columns = (*labels.values(), "(none)") if silent else tuple(labels.values())
    counts = {
        (
            places[row["row_class_index"]],
            places.get(row["column_class_index"], len(places)),
        ): row["n"]
        for row in rows
    }
    right = frozenset((place, place) for place in places.values())
    return Matrix(
        comparison, title, row_title, column_title, tuple(labels.values()), columns, counts, right
    )


def _agreement(matrix: Matrix) -> str:
    same = sum(n for cell, n in matrix.counts.items() if cell in matrix.right)
    total = sum(matrix.counts.values())
    return f"{matrix.row_title} and {matrix.column_title} agree on {same} of {total}"
