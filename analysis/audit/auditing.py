"""Audits a registered dataset: every image read once, one commit, the same audit never twice."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analysis.audit.duplicates import Link, find_duplicates
from analysis.audit.findings import AuditFinding, read_findings
from analysis.audit.pictures import Pictures, read_pictures
from analysis.audit.shortcuts import Shortcut, Values, find_shortcuts, names_samples
from analysis.queries import read_query
from warehouse.catalogue import (
    DatasetInfo,
    Warehouse,
    connect,
    dataset,
    open_tables,
    refuse_changed,
)
from warehouse.lake import Lake, RunSpec, RunWriter
from warehouse.progress import Progress

COMMAND = "datasets-audit"
QUERIES = Path(__file__).parent / "queries"
RULES = 2
"""Raised when the same images would be judged otherwise."""

BLANK_CONTRAST = 2.0
"""Grey levels of contrast below which an image is blank."""
SMALLEST = 24
"""Pixels of the shorter side below which two different images cannot be told apart."""


@dataclass(frozen=True)
class Audit:
    """What is known of a dataset's images; `added` is False where it was known before.

    `n_joined` groups were united with another just before, `n_moved` samples moved for it to the
    split of the rest of their group.
    """

    dataset_id: str
    added: bool
    n_samples: int
    n_compared: int
    not_judged: str | None
    findings: tuple[AuditFinding, ...]
    n_joined: int = 0
    n_moved: int = 0


def audit(lake: Lake, dataset_id: str, progress: Progress | None = None) -> Audit:
    """Audits a dataset and stores what was found.

    Reads every image, whatever their number a kilobyte of each is kept; `progress(done, total)` is
    called after each. Raises UsageError for an unknown dataset, LayerhouseError naming an image
    that cannot be read or is another than the one registered.
    """
    with open_tables(lake) as wh:
        info = dataset(wh, dataset_id)
        attributes = wh.sql(read_query(QUERIES, "attributes"), {"dataset": dataset_id}).pl()
    spec = RunSpec(COMMAND, None, dataset_id, _identity(info, attributes))
    with RunWriter(lake, spec) as writer:
        added = not writer.is_done
        if added:
            with open_tables(lake) as wh:
                refuse_changed(wh, dataset_id, info.samples["sample_id"].to_list())
            pictures = read_pictures(info.samples["uri"].to_list(), progress)
            writer.commit(_tables(info, attributes, pictures), covers={"audit": dataset_id})
        writer.finish()
    with connect(lake) as wh:
        names = {"dataset": dataset_id}
        ((n, n_compared, not_judged),) = wh.sql(read_query(QUERIES, "audit"), names).fetchall()
        findings = tuple(read_findings(wh, dataset_id) or ())
    return Audit(dataset_id, added, n, n_compared, not_judged, findings)


def linked_samples(wh: Warehouse, dataset_id: str) -> list[tuple[str, str]]:
    """The pairs of samples that join the dataset's clusters of near-duplicates."""
    return wh.sql(read_query(QUERIES, "linked"), {"dataset": dataset_id}).fetchall()


def _identity(info: DatasetInfo, attributes: pl.DataFrame) -> dict[str, Any]:
    columns = info.samples.select("sample_id", "uri", "sha256", "class_index", "group_id")
    text = columns.write_csv() + attributes.write_csv()
    return {"rules": RULES, "samples": blake2b(text.encode(), digest_size=8).hexdigest()}


def _tables(info: DatasetInfo, attributes: pl.DataFrame, pictures: Pictures) -> dict[str, Any]:
    place = {"dataset_id": info.dataset_id}
    names = info.samples["sample_id"].to_list()
    blank = pictures.facts["contrast"] < BLANK_CONTRAST
    sides = info.samples.select(pl.min_horizontal("width", "height")).to_series().to_numpy()
    hashes = info.samples["sha256"].to_list()
    links = find_duplicates(pictures.small, hashes, blank, np.flatnonzero(sides < SMALLEST))
    facts, not_judged = _facts(info, attributes, pictures)
    shortcuts = _shortcuts(info, facts)
    compared = {hashes[index] for index in np.flatnonzero(~blank & (sides >= SMALLEST))}
    tables: dict[str, Any] = {
        "dataset_audit": [
            {
                **place,
                "n_samples": len(names),
                "n_compared": len(compared),
                "not_judged": ", ".join(not_judged) or None,
            }
        ],
        "image_fact": [
            {
                **place,
                "sample_id": name,
                **{fact: float(values[index]) for fact, values in pictures.facts.items()},
                "file_type": pictures.file_types[index],
                "is_blank": bool(blank[index]),
            }
            for index, name in enumerate(names)
        ],
        "near_duplicate": [{**place, **row} for row in _pairs(*links, names)],
        "shortcut": [{**place, **vars(row)} for row in shortcuts],
    }
    return {table: rows for table, rows in tables.items() if rows}


def _pairs(
    links: Sequence[Link], cluster_of: NDArray[np.int64], names: Sequence[str]
) -> list[dict[str, Any]]:
    """Rows of near_duplicate; a cluster has the name of its first member."""
    first: dict[int, str] = {}
    for cluster, name in zip(cluster_of.tolist(), names, strict=True):
        first.setdefault(cluster, name)
    return [
        {
            "sample_id": names[link.first],
            "other_sample_id": names[link.second],
            "cluster": first[int(cluster_of[link.first])],
            "kind": link.kind,
            "correlation": link.correlation,
            "own_correlation": link.own_correlation,
        }
        for link in links
    ]


def _facts(
    info: DatasetInfo, attributes: pl.DataFrame, pictures: Pictures
) -> tuple[dict[str, Values], list[str]]:
    """What may read the class, by name; and the attributes that name single samples."""
    width, height = (info.samples[side].to_numpy().astype(float) for side in ("width", "height"))
    facts: dict[str, Values] = {
        "size": (width * height).tolist(),
        "aspect": (width / height).tolist(),
        **{name: values.tolist() for name, values in pictures.facts.items()},
        "file_type": pictures.file_types,
    }
    groups = info.samples["group_id"].to_list()
    numbers = _group_numbers(groups)
    if numbers is not None:
        facts["group_number"] = numbers
    of: dict[str, dict[str, str]] = defaultdict(dict)
    for sample_id, name, value in attributes.iter_rows():
        of[name][sample_id] = value
    names, left_out = info.samples["sample_id"].to_list(), []
    for name, values in of.items():
        told = [values.get(sample) for sample in names]
        if names_samples(told):
            left_out.append(f"attribute:{name} (nearly one value per image)")
        else:
            facts[f"attribute:{name}"] = told
    return facts, left_out


def _group_numbers(groups: Sequence[str]) -> Values | None:
    """The numbers in the names of groups, where these differ by their number alone.

    Patients are often numbered by hospital or year, so the number can tell what the images must
    not. Groups of one image each are no patients: their names are those of files.
    """
    if len(set(groups)) == len(groups) or len({re.sub(r"\d+", "#", name) for name in groups}) > 1:
        return None
    found = [re.search(r"(\d+)\D*$", name) for name in groups]
    return [float(match[1]) for match in found if match] if all(found) else None


def _shortcuts(info: DatasetInfo, facts: dict[str, Values]) -> list[Shortcut]:
    labelled = info.samples["class_index"].is_not_null().arg_true().to_list()
    labels = info.samples["class_index"].drop_nulls().to_numpy().astype(np.int64)
    groups = info.samples["group_id"].to_list()
    own: dict[str, Values] = {
        name: [values[index] for index in labelled] for name, values in facts.items()
    }
    return find_shortcuts(own, labels, [groups[index] for index in labelled], info.dataset_id)
