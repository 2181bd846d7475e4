"""A lake with something for every figure of the report: pairs, a logit lens and a self-test."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from analysis.comparison import compare_all
from analysis.diagnosis import diagnose
from tests.lakes import LLM_LAYERS, MadeUpDataset, Signals, synthetic_lake
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter

DATASET = "shapes"
HEALTHY, FAULTY = "tiny", "tiny+fault:swap@connector:0.5"
MODELS = {
    HEALTHY: Signals.losing(connector=0.02, answer=0.04),
    FAULTY: replace(Signals.losing(connector=0.3, answer=0.05), unparsed=0.1),
}
MODES = {
    "vision": "vision_quality",
    "connector": "connector_fidelity",
    "llm": "llm_comprehension",
    "answer": "semantic_mapping",
}


def report_lake(path: Path) -> Lake:
    """Two models on one dataset of 400 samples, diagnosed and compared."""
    lake = synthetic_lake(path, MODELS, n_samples=400)
    _write_lens(lake)
    _write_trials(lake)
    _write_ways(lake)
    _write_audit(lake)
    _write_nuisance(lake)
    _write_tokens(lake)
    _write_patches(lake)
    _write_steering(lake)
    for model_id in MODELS:
        diagnose(lake, model_id, DATASET, n_resamples=200)
    compare_all(lake, n_resamples=200)
    return lake


def _write_audit(lake: Lake) -> None:
    """Brightness reads the class."""
    score = {"balanced_accuracy": 0.7, "chance": 0.25, "lower": 0.65, "upper": 0.75}
    rows = {
        "dataset_audit": {"n_samples": 400, "n_compared": 400, "not_judged": None},
        "shortcut": {"fact": "brightness", "n_values": 10, **score, "n_groups": 400},
    }
    with RunWriter(lake, RunSpec("datasets-audit", None, DATASET, {})) as writer:
        writer.commit({name: [{"dataset_id": DATASET, **row}] for name, row in rows.items()})
        writer.finish()


def _write_nuisance(lake: Lake) -> None:
    """The view fades from layer to layer; half of the neighbours pass the connector."""
    data = MadeUpDataset.draw(DATASET, 400)
    owner = {"model_id": HEALTHY, "dataset_id": DATASET}
    sizes = {"n_labels": 2, "n_train": 200, "n_val": 100, "n_test": 100, "n_largest": 50}
    loci = [("vision", layer) for layer in range(3)] + [("connector", 0), ("llm", 0), ("llm", 1)]
    probes = [
        {**owner, "module": module, "layer": layer, "readout": "mean", "kind": "linear", **sizes}
        | {"target": "attribute:view", "seed": 0, "n_right": 99 - 7 * place}
        | {"balanced_accuracy": 0.7}
        for place, (module, layer) in enumerate(loci)
    ]
    labels = [
        {"dataset_id": DATASET, "sample_id": str(name), "attribute": "view"}
        | {"label_index": place % 2, "value": ["ap", "lateral"][place % 2]}
        for place, name in enumerate(data.sample_ids)
    ]
    alone = {"dataset_id": DATASET, "attribute": "view", "n_values": 2, "n_groups": 400}
    alone |= {"balanced_accuracy": 0.41, "chance": 0.25, "lower": 0.36, "upper": 0.46}
    border = {**owner, "readout": "mean", "vision_layer": 4, "n_samples": 400, "n_groups": 400}
    border |= {"n_neighbours": 10, "overlap_chance": 0.025, "n_train": 200, "n_test": 100}
    for name, point in {"overlap": 0.52, "cka": 0.83, "reconstruction": 0.64}.items():
        border |= {f"{name}_lower": point - 0.03, f"{name}_upper": point + 0.03, name: point}
    border |= {"neighbour_overlap": border.pop("overlap"), "penalty": 0.1}
    with RunWriter(lake, RunSpec("probe-target", HEALTHY, DATASET, {})) as writer:
        tables = {"target_probe": probes, "attribute_label": labels, "attribute_shortcut": [alone]}
        writer.commit({**tables, "border_fidelity": [border]})
        writer.finish()


def _write_patches(lake: Lake) -> None:
    """The class is carried by the image tokens up to the llm, there more and more by the last; from
    the healthy model all comes back at the connector, where probes see the loss too.
    """
    data = MadeUpDataset.draw(DATASET, 400)
    test = np.flatnonzero(data.split == "test")
    own = {"model_id": HEALTHY, "donor_model_id": HEALTHY, "dataset_id": DATASET}
    turned = {("vision", 1, "image"): 90, ("connector", 0, "image"): 85, ("llm", 0, "image"): 60}
    turned |= {("llm", 1, "image"): 20, ("llm", 0, "last"): 30, ("llm", 1, "last"): 80}
    ends = {("vision", 1, "image"): 60, ("connector", 0, "image"): 95}
    ends |= {("llm", LLM_LAYERS - 1, "both"): 95}
    other = {"model_id": FAULTY, "donor_model_id": HEALTHY, "dataset_id": DATASET}
    shifts = {"target_shift": 0.5, "label_shift": -0.5}
    images, models = [], []
    for number, place in enumerate(test):
        label = int(data.class_index[place])
        name, wrong = str(data.sample_ids[place]), (label + 1) % data.n_classes
        known = {"sample_id": name, "own_class_index": label, **shifts}
        images += [
            {**own, **known, "module": module, "layer": layer, "tokens": tokens, "control": control}
            | {"donor_id": str(data.sample_ids[test[number - 1]]), "ends_stage": False}
            | {"target_class_index": wrong, "donor_class_index": wrong}
            | {"predicted_class_index": wrong if number < n else label}
            for (module, layer, tokens), share in turned.items()
            for control, n in (("none", share), ("noise", share // 10), ("same_class", 2))
        ]
        models += [
            {**other, **known, "module": module, "layer": layer, "tokens": tokens}
            | {"control": "none", "donor_id": name, "ends_stage": True}
            | {"target_class_index": label, "donor_class_index": label}
            | {"own_class_index": label if number < 60 else wrong}
            | {"predicted_class_index": label if number < right else wrong}
            for (module, layer, tokens), right in ends.items()
        ]
    for model_id, rows in ((HEALTHY, images), (FAULTY, models)):
        with RunWriter(lake, RunSpec("patch", model_id, DATASET, {})) as writer:
            writer.commit({"patch_effect": rows})
            writer.finish()


def _write_steering(lake: Lake) -> None:
    """The first class is moved beyond all random directions, the second is not."""
    data = MadeUpDataset.draw(DATASET, 400)
    place = {"model_id": HEALTHY, "dataset_id": DATASET, "module": "llm", "layer": LLM_LAYERS - 1}
    place |= {"tokens": "last", "direction": "means", "strength": 0.5}
    randoms = np.sin(np.arange(100))
    rows = [
        {**place, "sample_id": str(data.sample_ids[at]), "class_index": index, "shift": shift}
        | {"predicted_class_index": index, "own_class_index": int(data.class_index[at])}
        | {"sham_shift": 0.0, "random_shifts": randoms}
        for at in np.flatnonzero(data.split == "test")
        for index, shift in ((0, 4.5), (1, 0.25))
    ]
    with RunWriter(lake, RunSpec("steer", HEALTHY, DATASET, {})) as writer:
        writer.commit({"steer_effect": rows})
        writer.finish()


def _write_tokens(lake: Lake) -> None:
    """Tokens in a grid of 2 by 3 and of 2 by 2, and some without a place, with what reads them."""
    data = MadeUpDataset.draw(DATASET, 400)
    rng = np.random.default_rng(0)
    classes = list(range(data.n_classes))
    where = {("vision", 4): (2, 3), ("connector", 0): (2, 2), ("llm", LLM_LAYERS): (0, 2)}
    tokens, probes = [], []
    for (module, layer), (height, width) in where.items():
        place = {"model_id": HEALTHY, "dataset_id": DATASET, "module": module, "layer": layer}
        tokens += [
            {**place, "sample_id": str(name), "token": token, "vector": rng.standard_normal(3)}
            | {"row": token // width if height else None}
            | {"column": token % width if height else None}
            for name in data.sample_ids[data.split == "test"]
            for token in range(max(1, height) * width)
        ]
        numbers = {part: rng.standard_normal((4, 3)).tolist() for part in ("queries", "values")}
        reader = {"classes": classes, "intercepts": [0.0] * 4, **numbers}
        probes.append(
            {
                **{**place, "probe_id": f"reader-{module}", "readout": "tokens"},
                **{"kind": "attentive", "control": "none", "seed": 0, "fit_seconds": 1.0},
                **{"n_train": 200, "n_val": 100, "n_test": 100},
                "hyperparameters": {"chosen": {"reader": reader}},
            }
        )
    with RunWriter(lake, RunSpec("probe", HEALTHY, DATASET, {"readers": True})) as writer:
        writer.commit({"token_activation": tokens, "probe": probes})
        writer.finish()


def _write_lens(lake: Lake) -> None:
    """Rises from layer to layer, as where the answer is decided late."""
    data = MadeUpDataset.draw(DATASET, 400)
    rows = []
    for layer in range(LLM_LAYERS + 1):
        predicted = data.predict(0.3 + 0.12 * layer, "lens", layer)
        logits = data.logits(predicted, "lens", layer)
        logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        rows += [
            {
                "model_id": HEALTHY,
                "dataset_id": DATASET,
                "layer": layer,
                "sample_id": str(sample_id),
                "label_logprobs": logprobs[i].tolist(),
                "predicted_class_index": int(predicted[i]),
            }
            for i, sample_id in enumerate(data.sample_ids)
        ]
    with RunWriter(lake, RunSpec("extract", HEALTHY, DATASET, {"lens": True})) as writer:
        writer.commit({"logit_lens": rows})
        writer.finish()


def _write_ways(lake: Lake) -> None:
    """Three prompts, one of them in another order and one that is not understood, and controls."""
    data = MadeUpDataset.draw(DATASET, 400)
    ways: list[tuple[float, dict[str, str]]] = [
        (0.9, {"prompt_id": "plain"}),
        (0.8, {"prompt_id": "plain", "option_order": "rotated:1"}),
        (0.2, {"prompt_id": "clinical"}),
        (0.25, {"image_control": "blank"}),
        (0.1, {"image_control": "other"}),
    ]
    rows = [
        {
            **dict.fromkeys(_columns("answer")),
            **{"model_id": HEALTHY, "dataset_id": DATASET, "method": "generate", "parsed": True},
            **{"sample_id": str(name), "predicted_class_index": int(said)},
            **{"prompt_id": "default", "option_order": "given", "image_control": "own", **way},
        }
        for accuracy, way in ways
        for name, said in zip(data.sample_ids, data.predict(accuracy, *way.values()), strict=True)
    ]
    donors = [
        {
            "dataset_id": DATASET,
            "sample_id": str(name),
            "image_control": "other",
            "donor_id": str(data.sample_ids[data.class_index != own][0]),
        }
        for name, own in zip(data.sample_ids, data.class_index, strict=True)
    ]
    with RunWriter(lake, RunSpec("extract", HEALTHY, DATASET, {"ways": True})) as writer:
        writer.commit({"answer": rows, "image_donor": donors})
        writer.finish()


def _write_trials(lake: Lake) -> None:
    """Swaps at every stage, one of them misread by the mean-pooled curves, and healthy runs."""
    trials = [
        _trial(f"swap@{stage}:{severity}", stage, severity, seed)
        for stage, severity, seed in product(MODES, (0.05, 0.4, 0.8), (0, 1))
    ]
    trials += [_trial(None, None, None, seed) for seed in range(3)]
    trials.append(
        {**_trial("noise@vision:2", "vision", 2.0, 0), "kind": "noise", "destroying": False}
    )
    pair = _trial("swap@vision:0.5+swap@llm.2:0.5", None, None, 0)
    struck = dict.fromkeys(("stages", "present_stages"), "vision+llm")
    costs = {"answer_cost": 0.6, "first_cost": 0.4, "second_cost": 0.4, "expected_loss": None}
    trials.append({**pair, **struck, **costs, "kind": None, "trial_kind": "pair"})
    with RunWriter(lake, RunSpec("self-test", HEALTHY, DATASET, {})) as writer:
        writer.commit({"fault_trial": trials})
        writer.finish()


def _trial(fault: str | None, stage: str | None, severity: float | None, seed: int) -> dict:
    cost = 0.9 * (severity or 0.0)
    misread = "vision_quality" if stage == "connector" else MODES.get(stage or "", "healthy")
    row = {
        "trial_id": f"{fault}-{seed}",
        "model_id": HEALTHY,
        "dataset_id": DATASET,
        "fault": fault,
        "kind": None if fault is None else "swap",
        "stage": stage,
        "severity": severity,
        "seed": seed,
        "destroying": fault is not None,
        "answer_cost": cost,
        "expected_loss": cost,
        "estimated_loss": cost,
        "lower": cost - 0.05,
        "upper": cost + 0.05,
        "verdict": MODES.get(stage or "", "healthy"),
        "mean_pooled_verdict": misread,
    }
    return {**dict.fromkeys(_columns("fault_trial")), "score": "accuracy", **row}


def _columns(table: str) -> list[str]:
    """All columns of a table, those that later migrations gave it among them."""
    from warehouse.schema import table_schema

    return [name for name in table_schema(table).names if name != "run_id"]
