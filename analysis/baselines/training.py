"""`layerhouse baseline`: train a traditional classifier on a dataset's own split, once."""

import json
import time
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from analysis.baselines.architectures import Architecture, Options, Plan, find
from analysis.baselines.images import LabelledImages, Trained, read_images
from analysis.logits import logit_rows
from analysis.probes import score_setting
from warehouse.catalogue import (
    Places,
    Rotation,
    Warehouse,
    connect,
    open_tables,
    refuse_changed,
    rotate,
)
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Commit, Lake, RunSpec, RunWriter, config_difference, exclusive
from warehouse.vocabulary import ACCURACY, SPLITS

COMMAND = "baseline"


@dataclass(frozen=True)
class BaselineSummary:
    """What `baseline` did; `added` is False if the lake held this baseline already.

    `test_score` is that of the dataset's score, which the diagnosis counts by, as a share.
    `notes` are what a person should read of a dataset that was registered on the way.
    """

    baseline_id: str
    dataset_id: str
    architecture: str
    seed: int
    run_id: str
    added: bool
    val_accuracy: float
    test_accuracy: float
    score: str
    test_score: float
    seconds: float
    notes: tuple[str, ...] = ()


def baseline(
    lake: Lake, dataset_id: str, architecture: str, *, seed: int = 0, options: Options | None = None
) -> BaselineSummary:
    """Train one architecture on train, choose on val, store its logits on val and test.

    Networks that start from weights are stored as `architecture:weights`. Raises UsageError for an
    unknown dataset or architecture or an option it does not take, LayerhouseError for an image
    that cannot be read or is another than the one registered, an empty split, a single class,
    weights that do not fit, a missing extra, or a stored baseline with other settings.
    """
    chosen = find(architecture)
    plan = chosen.plan(options or Options())
    started = time.perf_counter()
    with exclusive(lake, COMMAND, dataset_id, plan.stored_as, str(seed)) as looked:
        with open_tables(lake) as wh:
            images = read_images(wh, dataset_id)
            _refuse_seed(images, seed)
            settings = {**plan.settings, "samples": images.fingerprint}
            settings |= score_setting(images.score)
            config = {"architecture": plan.stored_as, "seed": seed, "settings": settings}
            spec = RunSpec(COMMAND, None, dataset_id, config)
            baseline_id = _baseline_id(dataset_id, config)
            stored = _is_stored(wh, dataset_id, plan.stored_as, seed, images.score, settings)
            if not stored:
                refuse_changed(wh, dataset_id, images.sample_ids.tolist())
        with RunWriter(lake, spec, looked) as writer:
            if not stored:
                trained = _train(plan, images, seed)
                row = _row(baseline_id, dataset_id, chosen, plan, seed, images)
                row["hyperparameters"] = {**settings, "chosen": trained.chosen}
                row["fit_seconds"] = time.perf_counter() - started
                writer.commit(_tables(row, images, trained), clashes=partial(_is_same, config))
            writer.finish()
    accuracies, test_score = _scores(lake, baseline_id)
    return BaselineSummary(
        baseline_id=baseline_id,
        dataset_id=dataset_id,
        architecture=plan.stored_as,
        seed=seed,
        run_id=spec.run_id,
        added=not stored,
        val_accuracy=accuracies["val"],
        test_accuracy=accuracies["test"],
        score=images.score,
        test_score=test_score,
        seconds=time.perf_counter() - started,
    )


def _refuse_seed(images: LabelledImages, seed: int) -> None:
    if images.folds is not None and not 0 <= seed < len(images.folds):
        raise UsageError(
            f"under folds a seed is one of the {len(images.folds)} times that samples were dealt "
            f"to them, from 0, not {seed}"
        )


def _is_same(config: dict[str, Any], commit: Commit) -> bool:
    """Whether another's commit holds a baseline of this architecture, seed and score."""
    other = commit.run["config"]
    if any(other.get(name) != config[name] for name in ("architecture", "seed")):
        return False
    theirs, own = (one.get("settings", {}).get("score", ACCURACY) for one in (other, config))
    return bool(theirs == own)


def _scores(lake: Lake, baseline_id: str) -> tuple[dict[str, float], float]:
    """Accuracy per split and the dataset's score on test, as the view has them."""
    query = "SELECT split, accuracy, score_value FROM baseline_accuracy WHERE baseline_id = $1"
    with connect(lake) as wh:
        rows = wh.sql(query, [baseline_id]).fetchall()
    scores = {split: score for split, _, score in rows}
    return {split: accuracy for split, accuracy, _ in rows}, scores["test"]


def _baseline_id(dataset_id: str, config: dict[str, Any]) -> str:
    key = json.dumps([dataset_id, config], sort_keys=True)
    return blake2b(key.encode(), digest_size=12).hexdigest()


def _is_stored(
    wh: Warehouse,
    dataset_id: str,
    architecture: str,
    seed: int,
    score: str,
    settings: dict[str, Any],
) -> bool:
    """Whether the lake holds this baseline; LayerhouseError if it does with other settings."""
    rows = wh.sql(
        "SELECT hyperparameters, run_id FROM baseline "
        "WHERE dataset_id = $1 AND architecture = $2 AND seed = $3 AND score = $4",
        [dataset_id, architecture, seed, score],
    ).fetchall()
    for text, run_id in rows:
        before = {key: value for key, value in json.loads(text).items() if key != "chosen"}
        if before != settings:
            raise LayerhouseError(
                f"{dataset_id} has the baseline {architecture} with other settings "
                f"({config_difference(before, settings)}); keep it, or take it "
                f"out with `layerhouse runs remove {run_id}` and train anew"
            )
    return bool(rows)


def _row(
    baseline_id: str,
    dataset_id: str,
    architecture: Architecture,
    plan: Plan,
    seed: int,
    images: LabelledImages,
) -> dict[str, Any]:
    """The `baseline` row, but for what training adds."""
    return {
        "baseline_id": baseline_id,
        "dataset_id": dataset_id,
        "architecture": plan.stored_as,
        "kind": architecture.kind,
        "score": images.score,
        "seed": seed,
        **_sizes(images, seed),
    }


def _sizes(images: LabelledImages, seed: int) -> dict[str, int]:
    """How many images it was trained on, at most, and how many it predicted."""
    if images.folds is None:
        return {f"n_{split}": len(rows) for split, rows in images.rows.items()}
    n_train = max(len(rotation.train) for rotation in _rotations(images, seed))
    n_images = len(images.sample_ids)
    return {"n_train": n_train, "n_val": n_images, "n_test": n_images}


def _rotations(images: LabelledImages, seed: int) -> tuple[Rotation[Places], ...]:
    assert images.folds is not None
    return rotate(images.folds[seed], int(images.folds.max()) + 1)


def _train(plan: Plan, images: LabelledImages, seed: int) -> Trained:
    """Trained on train; under folds once per fold, every image predicted as val and as test."""
    if images.folds is None:
        return plan.train(images, seed)
    shape = (len(images.sample_ids), images.n_classes)
    val_logits, test_logits = np.empty(shape, np.float32), np.empty(shape, np.float32)
    chosen = []
    for rotation in _rotations(images, seed):
        rows = dict(zip(SPLITS, rotation, strict=True))
        trained = plan.train(replace(images, rows=rows), seed)
        val_logits[rotation.val] = trained.val_logits
        test_logits[rotation.test] = trained.test_logits
        chosen.append(trained.chosen)
    return Trained(val_logits, test_logits, {"folds": chosen})


def _tables(
    row: dict[str, Any], images: LabelledImages, trained: Trained
) -> dict[str, pa.Table | list[dict[str, Any]]]:
    logits = [
        logit_rows(
            "baseline_id",
            row["baseline_id"],
            images.sample_ids[images.rows[split]] if images.folds is None else images.sample_ids,
            split,
            values,
        )
        for split, values in (("val", trained.val_logits), ("test", trained.test_logits))
    ]
    return {"baseline": [row], "baseline_logit": pa.concat_tables(logits)}
