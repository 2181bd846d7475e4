"""One sample: its picture, and what one model, or two side by side, made of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from analysis.projection import cell_named, name_of
from analysis.report import EvidenceMap, Row, evidence_maps, image_tokens, read_table
from layerhouse.explore.pages.outcomes import OUTCOMES, outcome_of
from layerhouse.explore.pictures import TINY, find_sample, read_picture
from layerhouse.explore.visit import Visit
from warehouse.catalogue import Warehouse
from warehouse.vocabulary import Cell


@dataclass(frozen=True)
class Told:
    """What one model made of a sample; all but `outcome` is empty over a published file."""

    model_id: str
    outcome: Row | None
    """None where the sample is not scored."""
    read_at: list[Row]
    read_by_probes: list[Row]
    replies: list[Row]
    maps: list[EvidenceMap]

    @property
    def words(self) -> str:
        """What became of it."""
        if self.outcome is None:
            return "not scored"
        return OUTCOMES[outcome_of(self.outcome)]


def sample_page(visit: Visit) -> dict[str, Any]:
    """The sample that the address names, as its model and a second one saw it."""
    row = visit.pair()
    dataset = row["dataset_id"]
    sample = find_sample(visit, dataset, visit.text("sample"))
    names = {"dataset": dataset, "sample": sample["sample_id"]}
    fault = read_picture(sample["uri"], TINY)
    other = visit.other(row)
    models = [row["model_id"], *([other] if other else [])]
    held = visit.rows("places", model=row["model_id"], dataset=dataset) if visit.lake else []
    places = [place_name(each) for each in held]
    place = visit.text("place") or (places[-1] if places else "")
    return {
        "row": row,
        "sample": sample,
        "fault": fault if isinstance(fault, str) else "",
        "attributes": visit.rows("sample_attributes", **names) if visit.lake else [],
        "told": [_told(visit, model_id, dataset, sample) for model_id in models],
        "other": other,
        "others": visit.beside(row),
        "places": places,
        "place": place,
        "knows_layers": visit.lake is not None and visit.knows_layers(row["model_id"]),
        "neighbours": _neighbours(visit, row["model_id"], names, place) if place else [],
    }


def place_name(row: Row) -> str:
    """The cell of a row as an address has it: 'llm.3/mean'."""
    return name_of(Cell(row["module"], row["layer"], row["readout"]))


def _told(visit: Visit, model_id: str, dataset_id: str, sample: Row) -> Told:
    names = {"model": model_id, "dataset": dataset_id, "sample": sample["sample_id"]}
    outcome = visit.rows("outcome", **names)
    lake = visit.lake
    return Told(
        model_id,
        outcome[0] if outcome else None,
        visit.rows("read_at", **names) if lake else [],
        visit.rows("read_by_probes", **names) if lake else [],
        visit.rows("replies", **names) if lake else [],
        _maps(visit, lake, names, sample) if lake else [],
    )


def _maps(visit: Visit, lake: Warehouse, names: dict[str, str], sample: Row) -> list[EvidenceMap]:
    """Where in the image its class is readable; none without image tokens and their probes."""
    pair = {"model": names["model"], "dataset": names["dataset"]}
    readers = read_table(lake, "evidence_readers", **pair)
    if not readers.rows or sample["class_index"] is None:
        return []
    visit.keep("evidence readers", readers)
    found = evidence_maps(readers.rows, [sample], partial(image_tokens, lake, pair))
    return found.of[sample["sample_id"]]


def _neighbours(visit: Visit, model_id: str, names: dict[str, str], place: str) -> list[Row]:
    return visit.rows("neighbours", model=model_id, **names, **cell_named(place)._asdict())
