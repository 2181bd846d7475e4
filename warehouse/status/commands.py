"""The command lines that go on with what was begun, or do what is missing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from warehouse.variants import BASE, changes_of, options_of, taken_apart
from warehouse.vocabulary import (
    ASKED_WITH,
    DEFAULT_PROBE_KIND,
    METHODS,
    OWN_IMAGE,
    PROBE_CONTROLS,
    SAMPLED,
)


def again(row: Mapping[str, Any]) -> str:
    """The command line that goes on with an unfinished run, or does a removed one anew, by its row;
    a stranger's may say anything."""
    try:
        config = row["config"]
        return _as_begun(
            {**row, "config": json.loads(config) if isinstance(config, str) else config}
        )
    except (AttributeError, LookupError, TypeError, ValueError):
        return f"layerhouse {ASKED_WITH.get(row['command'], (row['command'],))[0]} --help"


def _as_begun(row: Mapping[str, Any]) -> str:
    """The command line that goes on with an unfinished run."""
    config = row["config"]
    dataset = shlex.quote(row["dataset_id"] or "")
    if row["command"] == "extract":
        chosen = dict(config.get("selection", {}))
        if "prompt_id" in config.get("identity", {}) and "prompts" not in chosen:
            chosen["prompts"] = [config["identity"]["prompt_id"]]
        return extract_command(row, row["dataset_id"], chosen)
    if row["command"] == "patch":
        return patch_command(row, config)
    if row["command"] == "steer":
        return steer_command(row, config)
    if row["command"] == "baseline":
        return baseline_command(row["dataset_id"], config.get("architecture", "texture-svm"))
    if row["command"] == "datasets-add":
        return f"layerhouse datasets add {dataset} {shlex.quote(config.get('location', 'PATH'))}"
    if row["command"] == "datasets-audit":
        return f"layerhouse datasets audit {dataset}"
    names = f"--model {shlex.quote(row['model_id'] or '')} --dataset {dataset}"
    if row["command"] == "answers-import":
        return f"layerhouse answers import {shlex.quote(config.get('file', 'FILE'))} {names}"
    if row["command"] == "import":
        return f"layerhouse import {shlex.quote(config.get('folder', 'FOLDER'))} {names}"
    if row["command"] == "answers-judge":
        return f"layerhouse answers reparse {names} --judge {shlex.quote(config['judge'])}"
    command, more = ASKED_WITH.get(row["command"], (row["command"], ""))
    if row["command"] == "probe-folds":
        more += f" {config['settings']['n_folds']}"
    if row["command"] in ("probe-target", "probe-control-task"):
        more += (
            f" {shlex.quote(config['settings']['attribute'])}{_probe_options(config['settings'])}"
        )
    return f"layerhouse {command} {names}{more or _probe_options(config)}"


def _probe_options(config: Mapping[str, Any]) -> str:
    """What `layerhouse probe` is asked for beyond its default, as a run's configuration says."""
    kind, targets = config.get("kind", DEFAULT_PROBE_KIND), config.get("targets", [])
    words = [] if kind == DEFAULT_PROBE_KIND else ["--kind", kind]
    controls = {control for control, _ in targets}
    if targets and not controls.issuperset(PROBE_CONTROLS):
        words += [word for control in sorted(controls) for word in ("--control", control)]
    if targets:
        words += ["--seeds", str(1 + max(seed for _, seed in targets))]
    return "".join(f" {word}" for word in map(shlex.quote, words))


def baseline_command(dataset_id: str, architecture: str = "texture-svm") -> str:
    return (
        f"layerhouse baseline --dataset {shlex.quote(dataset_id)} "
        f"--architecture {shlex.quote(architecture)}"
    )


def patch_command(row: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """`layerhouse patch` as a run was asked for it."""
    chosen = config["selection"]
    begun = shlex.split(extract_command(row, row["dataset_id"], {**chosen, "answers": METHODS}))
    words = ["layerhouse", "patch", *begun[2:]]
    words += [word for name in chosen["tokens"] for word in ("--tokens", name)]
    if not chosen["controls"]:
        words.append("--no-controls")
    if "base" in config:
        name, changes = taken_apart(config["base"])
        asked = options_of(changes)
        asked[::2] = [option.replace("--", "--from-") for option in asked[::2]]
        words += ["--from", name, *asked]
    return shlex.join(words)


def steer_command(row: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """`layerhouse steer` as a run was asked for it."""
    chosen = config["selection"]
    begun = shlex.split(extract_command(row, row["dataset_id"], {**chosen, "answers": METHODS}))
    words = ["layerhouse", "steer", *begun[2:]]
    words += [word for name in chosen["tokens"] for word in ("--tokens", name)]
    words += [word for far in chosen["strengths"] for word in ("--strength", f"{far:g}")]
    words += ["--direction", chosen["direction"]]
    if chosen["label"] is not None:
        words += ["--label", chosen["label"]]
    return shlex.join(words)


def floor_command(model: Mapping[str, Any], dataset_id: str) -> str:
    """`layerhouse extract` for the untrained network of a model's architecture."""
    return extract_command({**model, "variant": "random:0"}, dataset_id)


def extract_command(
    model: Mapping[str, Any], dataset_id: str, selection: Mapping[str, Any] | None = None
) -> str:
    """`layerhouse extract` for a model's name and variant, narrowed as the run was."""
    name = model.get("model_name") or model.get("model_id") or "MODEL"
    words = ["layerhouse", "extract", "--model", name, "--dataset", dataset_id]
    words += options_of(changes_of(model.get("variant") or BASE))
    asked = selection or {}
    if asked.get("answers_only"):
        words += ["--answers-only", "--orders", asked["orders"]]
    for plural in ("modules", "layers", "readouts", "prompts"):
        values = asked.get(plural) or []
        if isinstance(values, list):
            words += [word for value in values for word in (f"--{plural[:-1]}", str(value))]
    answers = asked.get("answers", METHODS)
    methods = dict.fromkeys(answer.partition("@")[0] for answer in answers)
    methods = {name: None for name in methods if not name.startswith(SAMPLED)}
    if not methods.keys() >= set(METHODS):
        words += [word for method in methods for word in ("--answer", method)]
    images = dict.fromkeys(answer.rpartition("/")[2] for answer in answers if "@" in answer)
    for image in sorted(images.keys() - {OWN_IMAGE}):
        words += ["--image-control", image.replace("_", "-")]
    for name in ("limit", "max_pixels", "max_new_tokens", "samples", "temperature"):
        if asked.get(name) is not None:
            words += [f"--{name.replace('_', '-')}", str(asked[name])]
    return shlex.join(words)
