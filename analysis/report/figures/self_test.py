"""What the diagnosis said of known faults, beside what mean-pooled curves alone would have said."""

from __future__ import annotations

from analysis.report.figures.heatmap import Matrix, alone, draw_matrices
from analysis.report.reading import ModelPage
from analysis.report.svg import Drawing
from warehouse.vocabulary import HEALTHY, STAGE_OF, STAGES, UNDETERMINED

INJECTED = (*STAGES, "none")
SHORT = STAGE_OF | {HEALTHY: "healthy", UNDETERMINED: "undeterm."}
READINGS = {"diagnosis": "This diagnosis", "mean_pooled": "Mean-pooled curves"}


def self_test(page: ModelPage) -> Drawing | None:
    """Injected stage against verdict, for both readings; None without a self-test."""
    matrices = [_matrix(page, reading) for reading in READINGS]
    matrices = [matrix for matrix in matrices if matrix.counts]
    if not matrices:
        return None
    said = "; ".join(
        f"{m.title}: {sum(n for c, n in m.counts.items() if c in m.right)} of "
        f"{sum(m.counts.values())} trials named right"
        for m in matrices
    )
    return Drawing(
        f"{page.key}-selftest",
        lambda figure, is_narrow: draw_matrices(matrices, figure, beside=not is_narrow),
        f"Self-test of the diagnosis on {page.model_id} and {page.dataset_id}",
        f"{said}. Rows: the stage a fault was injected at; columns: the verdict.",
        wide=290,
        narrow=310 * len(matrices),
        panels=alone(matrices),
    )


def _matrix(page: ModelPage, reading: str) -> Matrix:
    stages = [STAGE_OF.get(name, "none") for name in SHORT]
    columns = {name: place for place, name in enumerate(SHORT)}
    counts = {
        (INJECTED.index(row["injected"]), columns[row["verdict"]]): row["n"]
        for row in page.trials.verdicts.rows
        if row["reading"] == reading
    }
    right = {(INJECTED.index(stage), place) for place, stage in enumerate(stages)}
    right.discard((INJECTED.index("none"), columns[UNDETERMINED]))
    return Matrix(
        reading,
        READINGS[reading],
        "injected at",
        "verdict",
        INJECTED,
        tuple(SHORT.values()),
        counts,
        frozenset(right),
    )
