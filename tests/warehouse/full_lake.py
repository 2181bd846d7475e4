"""A small lake with rows in every table: what `synthetic_lake` writes, and the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tests.lakes import Signals, synthetic_lake
from tests.warehouse.small_lakes import answer_row
from warehouse.catalogue.reading import open_catalogue
from warehouse.catalogue.refreshing import refresh
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter

MODEL = "alpha"
FAULTED = "alpha+fault:swap@vision:0.5"
DATASET = "shapes"
FOLDED = "dealt"
WIDTH = 32
DRAWN = (
    *("model_id", "dataset_id", "sample_id", "method"),
    *("predicted_class_index", "text", "raw_text", "finish_reason", "n_tokens"),
)
"""What a draw has of the answer that it is behind."""


def full_lake(path: Path, n_samples: int = 48) -> Lake:
    """Two models, a dataset of three classes; vectors of the first model wherever it has probes."""
    models = {MODEL: Signals(), FAULTED: Signals.losing(vision=0.3)}
    lake = synthetic_lake(path, models, n_samples=n_samples, n_classes=3)
    refresh(lake)
    with open_catalogue(lake) as con:
        samples = [row[0] for row in con.execute("SELECT sample_id FROM sample").fetchall()]
        cells = con.execute(
            "SELECT DISTINCT module, layer, readout FROM probe WHERE model_id = ? ORDER BY ALL",
            [MODEL],
        ).fetchall()
    _write_activations(lake, samples, cells)
    _write_attributes(lake, samples)
    _write_intervals(lake)
    _write_measures(lake, samples)
    _write_audit(lake, samples)
    _write_folds(lake)
    _write_patches(lake, samples)
    _write_steering(lake, samples)
    _write_mends(lake)
    refresh(lake)
    return lake


def _write_activations(lake: Lake, samples: list[str], cells: list[tuple[str, int, str]]) -> None:
    rng = np.random.default_rng(0)
    spec = RunSpec("extract", MODEL, DATASET, {"selection": {"limit": None}})
    with RunWriter(lake, spec) as writer:
        for half in (samples[::2], samples[1::2]):
            parts = [_vectors(rng, half, *cell) for cell in cells]
            lens = [row for sample in half for row in _lens(rng, sample)]
            tokens = [row for sample in half for row in _tokens(rng, sample)]
            writer.commit(
                {
                    "activation": pa.concat_tables(parts),
                    "token_activation": tokens,
                    "logit_lens": lens,
                }
            )
        removed = {"removed_run_id": "extract-0", "command": "extract", "model_id": "beta"}
        removed |= {"dataset_id": DATASET, "last_commit": 2, "n_shards": 4}
        removed |= {"n_rows": 96, "n_bytes": 9000}
        rejected = {"dataset_id": DATASET, "sample_id": samples[0], "reason": "damaged at first"}
        centre = {"name": "centre", "reads": "image", "slots": 1, "everywhere": True}
        brought = centre | {"identity": "my_package.Centre"}
        file = {"dataset_id": DATASET, "sample_id": samples[0], "n_bytes": 64, "modified_ns": 1}
        writer.commit(
            {"rejected_sample": [rejected], "package_readout": [brought], "image_file": [file]}
        )
        first = min(samples)  # of train, so that it is scored by nobody anyway
        writer.commit(
            {"seen_sample": [{"model_id": MODEL, "dataset_id": DATASET, "sample_id": first}]}
        )
        gone = {"dataset_id": DATASET, "mark": "0" * 64, "place": len(samples)}
        writer.commit({"removed_run": [removed], "removed_sample": [gone]})
        asked = {"template": "Which is it? {options}", "system": None, "reply_prefix": None}
        asked |= {"option_style": "letters", "option_order": "given", "language": "en"}
        asked |= {"prompt_id": "which", "synonyms": None, "max_new_tokens": None}
        which = [
            answer_row(sample, model_id=MODEL, dataset_id=DATASET) | {"prompt_id": "which"}
            for sample in samples
        ]
        writer.commit({"prompt": [asked], "answer": which})
        one, other = samples[:2]
        donor = {"dataset_id": DATASET, "sample_id": one, "donor_id": other}
        writer.commit(_drawn(samples))
        place = {"model_id": MODEL, "dataset_id": DATASET, "sample_id": one}
        writer.commit(
            {
                "image_donor": [donor | {"image_control": "other"}],
                "reply_place": [place | {"n_before": 3, "names_class": True}],
            }
        )
        writer.finish()


def _drawn(samples: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Answers by two drawn replies each."""
    asked = {"prompt_id": "default", "option_order": "given", "image_control": "own"}
    rows = [
        answer_row(sample, model_id=MODEL, dataset_id=DATASET) | {"method": "sampled:2x0.7"} | asked
        for sample in samples
    ]
    draws = [
        {name: row[name] for name in DRAWN} | asked | {"draw": number, "seed": 7 + number}
        for row in rows
        for number in range(2)
    ]
    return {"answer": rows, "reply_draw": draws}


def _vectors(
    rng: np.random.Generator, samples: list[str], module: str, layer: int, readout: str
) -> pa.Table:
    width = WIDTH * (4 if readout == "grid" else 1)
    vectors = rng.standard_normal((len(samples), width), dtype=np.float32)
    n = len(samples)
    return pa.table(
        {
            "model_id": [MODEL] * n,
            "dataset_id": [DATASET] * n,
            "module": [module] * n,
            "layer": pa.array([layer] * n, pa.int32()),
            "readout": [readout] * n,
            "sample_id": samples,
            "vector": pa.array(list(vectors), pa.list_(pa.float32())),
        }
    )


def _tokens(rng: np.random.Generator, sample: str) -> list[dict[str, Any]]:
    """Four image tokens in a square at the connector, and two without a place."""
    of = {"model_id": MODEL, "dataset_id": DATASET, "module": "connector", "layer": 0}
    return [
        {
            **of,
            "sample_id": sample,
            "token": token,
            "row": token // 2 if token < 4 else None,
            "column": token % 2 if token < 4 else None,
            "vector": rng.standard_normal(WIDTH, dtype=np.float32).tolist(),
        }
        for token in range(6)
    ]


def _lens(rng: np.random.Generator, sample: str) -> list[dict[str, Any]]:
    rows = []
    for layer in range(2):
        share = rng.dirichlet(np.ones(3))
        rows.append(
            {
                "model_id": MODEL,
                "dataset_id": DATASET,
                "layer": layer,
                "sample_id": sample,
                "label_logprobs": np.log(share).tolist(),
                "predicted_class_index": int(share.argmax()),
            }
        )
    return rows


def _write_attributes(lake: Lake, samples: list[str]) -> None:
    rows = [
        {"dataset_id": DATASET, "sample_id": sample, "name": "view", "value": value}
        for sample, value in zip(samples, ["front", "side"] * len(samples), strict=False)
    ]
    with RunWriter(lake, RunSpec("datasets", None, DATASET, {"attributes": True})) as writer:
        writer.commit({"sample_attribute": rows})
        writer.finish()


def _write_intervals(lake: Lake) -> None:
    losses = {"vision": 0.25, "connector": 0.0, "llm": 0.125, "answer": 0.125, "total": 0.5}
    place = {"model_id": MODEL, "dataset_id": DATASET}
    sizes = {"n_resamples": 100, "n_groups": 12}
    stages = [
        {**place, "stage": stage, "quantity": "loss", **_bounds(loss), **sizes, "margin": 0.02}
        for stage, loss in losses.items()
    ]
    health = {**place, "module": "vision", "track": "mean", **_bounds(0.9), **sizes}
    trial = {
        "trial_id": "trial-0",
        **place,
        "fault": "swap@vision:0.5",
        "kind": "swap",
        "stage": "vision",
        "severity": 0.5,
        "seed": 0,
        "destroying": True,
        "answer_cost": 0.3,
        "expected_loss": 0.3,
        "estimated_loss": 0.3,
        "lower": 0.2,
        "upper": 0.4,
        "verdict": "vision_quality",
        "mean_pooled_verdict": "vision_quality",
        "trial_kind": "destroying",
        "stages": "vision",
        "present_stages": "vision",
        "answer_accuracy": 0.6,
        "total_loss": 0.3,
        "seconds": 1.0,
        "first_cost": None,
        "second_cost": None,
    }
    difference = {
        "model_id": FAULTED,
        "base_model_id": MODEL,
        "dataset_id": DATASET,
        "stage": "answer",
        "quantity": "signal",
        **_bounds(-0.25),
        **sizes,
    }
    with RunWriter(lake, RunSpec("compare", FAULTED, DATASET, {"base": MODEL})) as writer:
        writer.commit(
            {
                "pair_interval": [difference],
                "model_base": [{"name": MODEL, "base_name": "general"}],
            }
        )
        writer.finish()
    with RunWriter(lake, RunSpec("diagnose", MODEL, DATASET, {})) as writer:
        writer.commit(
            {"stage_interval": stages, "health_interval": [health], "fault_trial": [trial]}
        )
        writer.finish()


def _write_measures(lake: Lake, samples: list[str]) -> None:
    with open_catalogue(lake) as con:
        (probe_id,) = con.execute("SELECT min(probe_id) FROM probe").fetchone()
    locus = {"module": "llm", "layer": 0, "readout": "mean"}
    place = {"model_id": MODEL, "dataset_id": DATASET, **locus}
    rows = {
        "probe_coefficient": [
            {"probe_id": probe_id, "class_index": i, "coefficients": [0.5], "intercept": 0.0}
            for i in range(3)
        ],
        "code_length": [
            {**place, "seed": 0, "n_train": 9, "portions": [6, 9]}
            | {"online_bits": 9.0, "uniform_bits": 14.3}
        ],
        "locus_geometry": [
            {**place, "n_samples": 9, "effective_rank": 2.0}
            | {"intrinsic_dimension": None, "class_separability": 0.1, "cka_to_previous": None}
        ],
        "target_probe": [
            {**place, "kind": "linear", "target": target, "seed": 0, "n_labels": 2, "n_train": 9}
            | {"n_val": 3, "n_test": 4, "n_right": 3, "n_largest": 2, "balanced_accuracy": 0.75}
            for target in ("attribute:view", "control_task:view")
        ],
        "attribute_label": [
            {"dataset_id": DATASET, "sample_id": sample, "attribute": "view"}
            | {"label_index": i % 2, "value": ["front", "side"][i % 2]}
            for i, sample in enumerate(samples)
        ],
        "attribute_shortcut": [
            {"dataset_id": DATASET, "attribute": "view", "n_values": 2, "n_groups": 12}
            | {"balanced_accuracy": 0.4, "chance": 1 / 3, "lower": 0.3, "upper": 0.5}
        ],
        "border_fidelity": [
            {"model_id": MODEL, "dataset_id": DATASET, "readout": "mean", "vision_layer": 5}
            | {"n_samples": 9, "n_groups": 9, "n_neighbours": 3, "overlap_chance": 0.375}
            | {"neighbour_overlap": 0.5, "overlap_lower": 0.4, "overlap_upper": 0.6}
            | {"cka": 0.8, "cka_lower": 0.7, "cka_upper": 0.9, "n_train": 9, "n_test": 4}
            | {"penalty": 0.1, "reconstruction": 0.7}
            | {"reconstruction_lower": 0.6, "reconstruction_upper": 0.8}
        ],
        "fold_probe": [
            {"fold_probe_id": "f", **place, "kind": "linear", "n_folds": 3, "hyperparameters": {}}
        ],
        "fold_logit": [
            {"fold_probe_id": "f", "sample_id": sample, "fold": i % 3, "logits": [0.0, 1.0, 0.0]}
            | {"predicted_class_index": 1}
            for i, sample in enumerate(samples)
        ],
    }
    with RunWriter(lake, RunSpec("probe-measures", MODEL, DATASET, {})) as writer:
        writer.commit(rows)
        writer.finish()


def _write_audit(lake: Lake, samples: list[str]) -> None:
    first, second, *_ = sorted(samples)
    looks = {"brightness": 90.0, "contrast": 30.0, "border": 5.0, "colour": 0.0}
    pair = {"sample_id": first, "other_sample_id": second, "cluster": first, "kind": "near"}
    score = {"balanced_accuracy": 0.6, "chance": 1 / 3, "lower": 0.5, "upper": 0.7, "n_groups": 12}
    sizes = {"n_samples": len(samples), "n_compared": len(samples), "not_judged": None}
    rows = {
        "dataset_audit": [sizes],
        "image_fact": [
            {"sample_id": sample, **looks, "file_type": "png", "is_blank": False}
            for sample in samples
        ],
        "near_duplicate": [{**pair, "correlation": 0.99, "own_correlation": 0.95}],
        "shortcut": [{"fact": "brightness", "n_values": 10, **score}],
    }
    with RunWriter(lake, RunSpec("datasets-audit", None, DATASET, {})) as writer:
        writer.commit(
            {name: [{"dataset_id": DATASET, **row} for row in own] for name, own in rows.items()}
        )
        writer.finish()


def _write_mends(lake: Lake) -> None:
    row = {"model_id": FAULTED, "base_model_id": MODEL, "dataset_id": DATASET, "stage": "llm"}
    row |= {"repair": "lora", "control": "none", "n_parameters": 8, "n_train": 6, "n_epochs": 2}
    row |= {"best_epoch": 1, "val_score_before": 0.5, "val_score": 0.75, "score": "accuracy"}
    row |= {"val_loss_before": 0.9, "val_loss": 0.6, "seconds": 1.0}
    with RunWriter(lake, RunSpec("mend", FAULTED, DATASET, {"base": MODEL})) as writer:
        writer.commit({"mend": [row]})
        writer.finish()


def _write_steering(lake: Lake, samples: list[str]) -> None:
    place = {"model_id": MODEL, "dataset_id": DATASET, "module": "llm", "layer": 0}
    place |= {"tokens": "last", "direction": "means", "strength": 1.0}
    effect = {"predicted_class_index": 1, "own_class_index": 0, "shift": 2.0, "sham_shift": 0.1}
    rows = [
        {**place, "sample_id": name, "class_index": index, **effect, "random_shifts": [0.2, -0.1]}
        for name in sorted(samples)[:2]
        for index in (0, 1)
    ]
    with RunWriter(lake, RunSpec("steer", MODEL, DATASET, {})) as writer:
        writer.commit({"steer_effect": rows})
        writer.finish()


def _write_patches(lake: Lake, samples: list[str]) -> None:
    first, second, *_ = sorted(samples)
    place = {"model_id": MODEL, "dataset_id": DATASET, "module": "llm", "layer": 0}
    effect = {"ends_stage": False, "target_class_index": 1, "predicted_class_index": 1}
    effect |= {"own_class_index": 0, "donor_class_index": 1}
    effect |= {"target_shift": 0.5, "label_shift": -0.5}
    with RunWriter(lake, RunSpec("patch", MODEL, DATASET, {})) as writer:
        writer.commit(
            {
                "patch_effect": [
                    {**place, "sample_id": name, "donor_model_id": MODEL}
                    | {"donor_id": second if name == first else first}
                    | {"tokens": "last", "control": "none", **effect}
                    for name in samples
                ]
            }
        )
        writer.finish()


def _write_folds(lake: Lake) -> None:
    """Another dataset, of two classes, that is evaluated by folds."""
    known = {"dataset_id": FOLDED}
    names = [f"dealt-{i}" for i in range(12)]
    image = {"uri": "made-up:0", "width": 8, "height": 8, "split": "test", "given_split": "train"}
    facts = {"title": "Dealt", "n_samples": 12, "n_classes": 2, "licence": None}
    facts |= {"pixel_rule": None, "evaluation": "folds", "n_folds": 3}
    rows = {
        "dataset": [known | facts],
        "class": [
            known | {"class_index": i, "label": name, "phrase": name}
            for i, name in enumerate(("round", "square"))
        ],
        "sample": [
            known
            | image
            | {"sample_id": name, "class_index": i % 2}
            | {"group_id": f"group-{i // 2}", "sha256": f"{i + 1:064x}"}
            for i, name in enumerate(names)
        ],
        "sample_fold": [
            known | {"sample_id": name, "repetition": own, "fold": (i // 2 + own * (i // 4)) % 3}
            for i, name in enumerate(names)
            for own in range(2)
        ],
    }
    with RunWriter(lake, RunSpec("datasets-add", None, FOLDED, {"n": 12})) as writer:
        writer.commit(rows)
        writer.finish()


def _bounds(point: float) -> dict[str, Any]:
    return {"point": point, "lower": point - 0.1, "upper": point + 0.1}
