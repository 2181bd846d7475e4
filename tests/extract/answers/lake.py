"""A lake with six images of two classes, and files of answers to them as harnesses write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.lakes import made_once
from tests.tables import tables
from warehouse.lake import Lake, RunSpec, RunWriter

SAMPLES = {
    "benign/img_a.png": ("train", 0),
    "benign/img_b.png": ("val", 0),
    "benign/img_c.png": ("test", 0),
    "malignant/img_d.png": ("train", 1),
    "malignant/img_e.png": ("val", 1),
    "malignant/img_f.png": ("test", 1),
}
TRUTH = ["benign", "malignant"]
MODEL, DATASET = "gpt-x", "breast"


def answers_lake(
    path: Path,
    samples: dict[str, tuple[str, int]] = SAMPLES,
    phrases: tuple[str, ...] = ("benign", "malignant"),
) -> Lake:
    return made_once(
        ("answers", samples, phrases), lambda lake: _register(lake, samples, phrases), path
    )


def _register(lake: Lake, samples: dict[str, tuple[str, int]], phrases: tuple[str, ...]) -> None:
    classes = [
        {"dataset_id": DATASET, "class_index": n, "label": label, "phrase": label}
        for n, label in enumerate(phrases)
    ]
    with RunWriter(lake, RunSpec("datasets-add", None, DATASET, {})) as writer:
        writer.commit(
            ({"class": classes} if classes else {})
            | {
                "dataset": [
                    {
                        "dataset_id": DATASET,
                        "title": "Breast",
                        "n_samples": len(samples),
                        "n_classes": len(phrases),
                        "licence": None,
                        "pixel_rule": None,
                    }
                ],
                "sample": [
                    {
                        "dataset_id": DATASET,
                        "sample_id": name,
                        "uri": f"/data/breast/{name}",
                        "sha256": f"{n:064x}",
                        "class_index": of if phrases else None,
                        "split": split,
                        "group_id": name,
                        "width": 8,
                        "height": 8,
                    }
                    for n, (name, (split, of)) in enumerate(samples.items())
                ],
            },
            finished=True,
        )


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def plain_rows(**more: Any) -> list[dict[str, Any]]:
    """Every sample answered right, in JSON lines' plainest form."""
    return [
        {"sample_id": name, "reply": f"It is {TRUTH[of]}."} | more
        for name, (_, of) in SAMPLES.items()
    ]


def answered(lake: Lake) -> dict[str, str | None]:
    """The class that the lake has of every sample, by label."""
    with tables(lake) as wh:
        return dict(
            wh.sql(
                "SELECT sample_id, label FROM answer LEFT JOIN class ON "
                "answer.dataset_id = class.dataset_id AND predicted_class_index = class_index "
                "ORDER BY sample_id"
            ).fetchall()
        )


RIGHT = {name: TRUTH[of] for name, (_, of) in SAMPLES.items()}
