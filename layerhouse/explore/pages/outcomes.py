"""How a sample's outcome is called: the keys of the queries, and their words."""

from analysis.report import Row
from warehouse.vocabulary import STAGES

OUTCOMES = {
    "right": "answered right",
    **{stage: f"lost at {stage}" for stage in STAGES},
    "wrong": "wrong, and no stage known for it",
    "unanswered": "not answered",
}
"""What `outcome` says in the queries, and the words for it; stages in pipeline order."""

LOST = "lost"
"""In an address: everything but `right`."""


def outcome_of(row: Row) -> str:
    """The key of a row of `mart_sample_outcomes`."""
    if row["answer_knows"] is None:
        return "unanswered"
    return "right" if row["answer_knows"] else row["lost_at"] or "wrong"
