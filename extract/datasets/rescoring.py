"""Gives a registered dataset another score: its next revision, of which no image is another."""

from __future__ import annotations

from dataclasses import replace

from extract.datasets.balance import check_score
from extract.datasets.naming import COMMAND
from extract.datasets.registration import registered
from extract.datasets.remaking import stored_rows
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake, RunSpec, RunWriter


def set_score(lake: Lake, name: str, score: str) -> bool:
    """Makes `score` what everything on the dataset rests on; False where it was that already.

    Probes, answers and baselines stay; every number follows, and intervals made for the other score
    count as missing until they are made anew. Raises UsageError for an unknown dataset or score,
    LayerhouseError for a dataset without labels.
    """
    check_score(score)
    rows = stored_rows(lake, name)
    if not rows["class"]:
        raise LayerhouseError(f"{name} was registered without labels, so nothing on it has a score")
    if rows["dataset"][0]["score"] == score:
        return False
    known = registered(lake)[name]
    covers = replace(known, score=score, revision=known.revision + 1).covers()
    with RunWriter(lake, RunSpec(COMMAND, None, name, covers)) as writer:
        row = {**rows["dataset"][0], "score": score}
        writer.commit({"dataset": [row]}, covers=covers, finished=True)
    return True
