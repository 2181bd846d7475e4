"""Rows for the views of the diagnosis: one model `m`, one dataset `d`, accuracies to choose.

20 test samples and 10 val samples of two classes, each a group of its own. A predictor is given as
(right on val, right on test) and is right on the first so many samples of the split.
"""

from collections.abc import Collection
from typing import Any

Rows = dict[str, list[dict[str, Any]]]
Score = tuple[int, int]

N_VAL, N_TEST = 10, 20
NAMES = {"model_id": "m", "dataset_id": "d"}

LOCI = (
    ("vision", 0, True),
    ("vision", 1, True),
    ("vision", 2, False),  # as LLaVA's last block: after the layer that the connector reads
    ("connector", 0, True),
    ("llm", 0, True),
    ("llm", 1, True),
)


def class_of(number: int) -> int:
    return number % 2


def samples(n_groups: int = N_TEST) -> list[dict[str, Any]]:
    sizes = {"val": N_VAL, "test": N_TEST}
    return [
        {
            "dataset_id": "d",
            "sample_id": f"{split}{i:02d}",
            "class_index": class_of(i),
            "split": split,
            "group_id": f"{split}{i % n_groups:02d}",
        }
        for split, size in sizes.items()
        for i in range(size)
    ]


def predictions(score: Score, n_test: int = N_TEST) -> list[dict[str, Any]]:
    """Predicted classes per sample: the first so many right, the others wrong."""
    return [
        {
            "sample_id": f"{split}{i:02d}",
            "split": split,
            "predicted_class_index": class_of(i) if i < right else 1 - class_of(i),
        }
        for split, size, right in (("val", N_VAL, score[0]), ("test", n_test, score[1]))
        for i in range(size)
    ]


def world(
    probes: dict[tuple[Any, ...], Score] | None = None,
    answers: dict[str, Score] | None = None,
    baselines: dict[tuple[str, int], Score] | None = None,
    loci: tuple[tuple[str, int, bool], ...] = LOCI,
    n_groups: int = N_TEST,
    answered: int = N_TEST,
    unparsed: tuple[int, ...] = (),
) -> Rows:
    """Rows of the tables that the diagnosis reads.

    probes: (module, layer, readout[, seed[, kind[, control]]]) → score; answers: method → score, of
    which the model gave `answered` on test, and those with the numbers `unparsed` (generate only)
    name no class; baselines: (architecture, seed) → score.
    """
    rows: Rows = {
        "model": [{"model_id": "m", "name": "m", "variant": "base"}],
        "sample": samples(n_groups),
        "layer": [
            {"model_id": "m", "module": module, "layer": layer, "depth": depth, "on_path": on_path}
            for depth, (module, layer, on_path) in enumerate(loci)
        ],
    }
    rows |= {name: [] for name in ("probe", "probe_logit", "answer", "baseline", "baseline_logit")}
    for place, score in (probes or {}).items():
        add_probe(rows, place, score)
    for method, score in (answers or {}).items():
        rows["answer"] += answer_rows(method, score, answered, unparsed)
    for (architecture, seed), score in (baselines or {}).items():
        key = {"baseline_id": f"{architecture}-{seed}"}
        named = {"dataset_id": "d", "architecture": architecture, "kind": "svm", "seed": seed}
        rows["baseline"].append(key | named)
        rows["baseline_logit"] += [key | row for row in predictions(score)]
    return rows


def add_probe(rows: Rows, place: tuple[Any, ...], score: Score) -> None:
    defaults = ("", 0, "", 0, "linear", "none")
    module, layer, readout, seed, kind, control = (*place, *defaults[len(place) :])
    key = {"probe_id": "-".join(map(str, (module, layer, readout, seed, kind, control)))}
    locus = {"module": module, "layer": layer, "readout": readout}
    rows["probe"].append({**key, **NAMES, **locus, "kind": kind, "control": control, "seed": seed})
    rows["probe_logit"] += [key | row for row in predictions(score)]


def answer_rows(
    method: str, score: Score, answered: int = N_TEST, unparsed: tuple[int, ...] = ()
) -> list[dict[str, Any]]:
    silent = {f"test{i:02d}" for i in unparsed} if method == "generate" else set()
    return [
        {
            **NAMES,
            "sample_id": row["sample_id"],
            "method": method,
            "parsed": row["sample_id"] not in silent,
            "predicted_class_index": (
                None if row["sample_id"] in silent else row["predicted_class_index"]
            ),
        }
        for row in predictions(score, answered)
    ]


def ended(rows: Rows, cut: Collection[int], after: int = 20) -> Rows:
    """The same rows where it is known how replies ended: those with these numbers were cut."""
    names = {f"test{i:02d}" for i in cut}
    for row in rows["answer"]:
        if row["method"] == "generate":
            is_cut = row["sample_id"] in names
            row |= {"finish_reason": "length" if is_cut else "stop", "raw_text": ""}
            row["n_tokens"] = after if is_cut else 3
    return rows


def interval(stage: str, point: float, lower: float, upper: float, **more: Any) -> dict[str, Any]:
    """A row of `stage_interval`, by default of a loss."""
    row = {**NAMES, "stage": stage, "quantity": "loss", "n_groups": N_TEST, "margin": 0.02}
    return {**row, "point": point, "lower": lower, "upper": upper, **more}
