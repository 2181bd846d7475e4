"""Lakes of made-up models whose signal at every stage is known exactly.

Probes, answers and baselines are written as their authors write them, only the predictions are
drawn: which samples a predictor gets right follows one difficulty per sample plus some noise of the
predictor's own (so predictors agree about as real ones do), and how many it gets right is exactly
the accuracy asked for, on val and on test.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from warehouse.catalogue.refreshing import connect, refresh
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.standing import list_commits

VISION_LAYERS = 5
LLM_LAYERS = 5
DIFFICULTY_WEIGHT = 0.9


@dataclass(frozen=True)
class Signals:
    """The share of samples from which the class can still be read after each stage.

    `image_tokens` is what the llm's last layer still holds at the image tokens, by default what
    the connector passed on; `unparsed` the share of test replies without a class; `modules`,
    `seeds` and `methods` what was extracted, probed and asked.
    """

    vision: float = 0.96
    connector: float = 0.96
    llm: float = 0.96
    answer: float = 0.96
    image_tokens: float | None = None
    unparsed: float = 0.0
    modules: tuple[str, ...] = ("vision", "connector", "llm")
    methods: tuple[str, ...] = ("likelihood", "generate")
    seeds: int = 2

    @classmethod
    def losing(cls, start: float = 0.96, **losses: float) -> Signals:
        """Signals that start at `start` and lose the given share at the named stages."""
        left, after = start, {}
        for stage in ("vision", "connector", "llm", "answer"):
            left -= losses.get(stage, 0.0)
            after[stage] = left
        return cls(**after)


def made_once(what: object, fill: Callable[[Lake], None], path: Path) -> Lake:
    """A copy at `path` of a lake that `fill` fills, with its catalogue built.

    `what`, by what it shows itself as, tells one lake from another; a process fills each once.
    """
    made, name = _made(), repr(what)
    if name not in made:
        folder = TemporaryDirectory()
        lake = Lake.at(Path(folder.name) / "lake")
        fill(lake)
        refresh(lake)
        made[name] = folder
    shutil.copytree(Path(made[name].name) / "lake", path, dirs_exist_ok=True)
    return Lake.at(path)


@cache
def _made() -> dict[str, TemporaryDirectory[str]]:
    return {}


def synthetic_lake(
    path: Path,
    models: Mapping[str, Signals],
    *,
    dataset_id: str = "shapes",
    baseline: float | None = 0.9,
    n_samples: int = 800,
    group_size: int = 1,
    n_classes: int = 4,
    seed: int = 0,
) -> Lake:
    """A lake that holds one dataset and the probes and answers of `models` on it.

    The keys of `models` are model ids, `name` or `name+variant`; `baseline` is the test accuracy
    of a traditional classifier, None for none. Half of the samples are train, a quarter val, a
    quarter test. Call it again with another `dataset_id` to add a dataset; `write_baseline` and
    `write_model` add to one (`MadeUpDataset.draw` with the same arguments is the same dataset).
    """
    data = MadeUpDataset.draw(dataset_id, n_samples, n_classes, group_size, seed)

    def fill(lake: Lake) -> None:
        _write_dataset(lake, data)
        if baseline is not None:
            write_baseline(lake, data, baseline)
        for model_id, signals in models.items():
            write_model(lake, data, model_id, signals)

    if path.exists() and any(path.iterdir()):
        fill(Lake.at(path))
        return Lake.at(path)
    drawn = (dataset_id, n_samples, n_classes, group_size, seed)
    return made_once((dict(models), baseline, *drawn), fill, path)


@dataclass(frozen=True)
class MadeUpDataset:
    """Samples [n] with class, split, group and difficulty; equal arguments, equal draw."""

    dataset_id: str
    sample_ids: np.ndarray
    class_index: np.ndarray
    split: np.ndarray
    group_id: np.ndarray
    difficulty: np.ndarray
    n_classes: int
    seed: int

    @classmethod
    def draw(
        cls,
        dataset_id: str = "shapes",
        n_samples: int = 800,
        n_classes: int = 4,
        group_size: int = 1,
        seed: int = 0,
    ) -> MadeUpDataset:
        rng = np.random.default_rng([seed, len(dataset_id)])
        groups = np.arange(n_samples) // group_size
        split = np.array(["train", "test", "train", "val"])[groups % 4]
        return cls(
            dataset_id=dataset_id,
            sample_ids=np.array([f"image-{i:05d}" for i in range(n_samples)]),
            class_index=rng.permutation(np.arange(n_samples) % n_classes),
            split=split,
            group_id=np.array([f"patient-{g:05d}" for g in groups]),
            difficulty=rng.standard_normal(n_samples),
            n_classes=n_classes,
            seed=seed,
        )

    def predict(self, accuracy: float, *name: Any) -> np.ndarray:
        """Predicted classes [n samples], right for round(accuracy × n) samples of each split."""
        rng = np.random.default_rng([self.seed, *"/".join(map(str, name)).encode()])
        own = rng.standard_normal(len(self.difficulty))
        hardness = DIFFICULTY_WEIGHT * self.difficulty + (1 - DIFFICULTY_WEIGHT**2) ** 0.5 * own
        wrong = (self.class_index + rng.integers(1, self.n_classes, len(own))) % self.n_classes
        predicted = wrong.copy()
        for split in np.unique(self.split):
            rows = np.flatnonzero(self.split == split)
            easiest = rows[np.argsort(hardness[rows])][: round(accuracy * len(rows))]
            predicted[easiest] = self.class_index[easiest]
        return predicted

    def logits(self, predicted: np.ndarray, *name: Any) -> np.ndarray:
        """Logits [n samples, n classes] whose largest entry is the predicted class."""
        rng = np.random.default_rng([self.seed, 1, *"/".join(map(str, name)).encode()])
        logits = rng.uniform(-1, 1, (len(predicted), self.n_classes))
        logits[np.arange(len(predicted)), predicted] += 2.5
        return logits.astype(np.float32)

    @property
    def scored(self) -> np.ndarray:
        """The samples that probes and baselines store logits for."""
        return np.flatnonzero(self.split != "train")


def _write_dataset(lake: Lake, data: MadeUpDataset) -> None:
    n = len(data.sample_ids)
    labels = ["circle", "square", "triangle", "star", "cross", "ring"][: data.n_classes]
    dataset = {
        "dataset_id": data.dataset_id,
        "title": f"Made-up {data.dataset_id}",
        "n_samples": n,
        "n_classes": data.n_classes,
        "licence": "CC0",
        "pixel_rule": None,
    }
    classes = [
        {"dataset_id": data.dataset_id, "class_index": i, "label": label, "phrase": f"a {label}"}
        for i, label in enumerate(labels)
    ]
    samples = pa.table(
        {
            "dataset_id": [data.dataset_id] * n,
            "sample_id": data.sample_ids,
            "uri": [f"made-up:{i}" for i in range(n)],
            "sha256": [f"{i:064x}" for i in range(n)],
            "class_index": data.class_index,
            "split": data.split,
            "group_id": data.group_id,
            "width": [32] * n,
            "height": [32] * n,
        }
    )
    with RunWriter(lake, RunSpec("datasets", None, data.dataset_id, {"n": n})) as writer:
        writer.commit({"dataset": [dataset], "class": classes, "sample": samples})
        writer.finish()


def rest_on(lake: Lake, score: str, dataset_id: str = "shapes") -> None:
    """Give a dataset another score, as `layerhouse datasets score` writes it."""
    with connect(lake) as wh:
        row, *_ = (
            wh.sql("SELECT * EXCLUDE (run_id) FROM dataset WHERE dataset_id = $1", [dataset_id])
            .pl()
            .to_dicts()
        )
    n = len(list_commits(lake))  # the same score may be given again
    with RunWriter(lake, RunSpec("datasets-add", None, dataset_id, {"score": score, "n": n})) as w:
        w.commit({"dataset": [{**row, "score": score}]}, finished=True)


def write_answers_alone(lake: Lake, method: str) -> None:
    """Bring the answers by `method` as those of a model "api", of which nothing else is known."""
    with connect(lake) as wh:
        answers = wh.sql(
            "SELECT * EXCLUDE run_id REPLACE ('api' AS model_id, 'imported:x' AS method) "
            "FROM answer WHERE method = $1",
            [method],
        ).to_arrow_table()
        model = wh.sql("SELECT * REPLACE ('api' AS model_id, 'api' AS name) FROM model")
        rows = {"answer": answers, "model": model.to_arrow_table()}
    with RunWriter(lake, RunSpec("answers-import", "api", "shapes")) as writer:
        writer.commit(rows)
        writer.finish()


def write_baseline(
    lake: Lake, data: MadeUpDataset, accuracy: float, architecture: str = "texture-svm"
) -> None:
    """Add a traditional classifier of that accuracy."""
    baseline_id = f"{data.dataset_id}-{architecture}-0"
    spec = RunSpec("baseline", None, data.dataset_id, {"architecture": architecture})
    row = {
        "baseline_id": baseline_id,
        "dataset_id": data.dataset_id,
        "architecture": architecture,
        "kind": "svm",
        "seed": 0,
        **_fit_columns(data),
    }
    logits = _logit_table(data, data.predict(accuracy, baseline_id), "baseline_id", baseline_id)
    with RunWriter(lake, spec) as writer:
        writer.commit({"baseline": [row], "baseline_logit": logits})
        writer.finish()


def write_model(lake: Lake, data: MadeUpDataset, model_id: str, signals: Signals) -> None:
    """Add a model's loci and answers, and the probes of all its curves."""
    loci = list(_loci(model_id))
    extract = RunSpec("extract", model_id, data.dataset_id, {"methods": list(signals.methods)})
    answers = [
        row for method in signals.methods for row in _answers(data, model_id, signals, method)
    ]
    described = {
        "model": [_model_row(model_id)],
        "module": _module_rows(model_id),
        "layer": loci,
    }
    with RunWriter(lake, extract) as writer:
        writer.commit(described | ({"answer": answers} if answers else {}))
        writer.finish()
    curves = list(_curves(signals, loci))
    if curves:
        write_probes(lake, data, model_id, curves, signals.seeds)


def write_probes(
    lake: Lake, data: MadeUpDataset, model_id: str, curves: list[Curve], seeds: int
) -> None:
    """Add linear probes, `seeds` of each curve point and one shuffled-label control."""
    rows, logits = [], []
    for point in curves:
        runs = [("none", seed, point.accuracy) for seed in range(seeds)]
        for control, seed, accuracy in [*runs, ("shuffled_labels", 0, 1 / data.n_classes)]:
            place = (point.module, point.layer, point.readout, control, seed)
            probe_id = "-".join(map(str, (model_id, data.dataset_id, *place)))
            rows.append(
                {
                    "probe_id": probe_id,
                    "model_id": model_id,
                    "dataset_id": data.dataset_id,
                    "module": point.module,
                    "layer": point.layer,
                    "readout": point.readout,
                    "kind": "linear",
                    "control": control,
                    "seed": seed,
                    **_fit_columns(data),
                }
            )
            predicted = data.predict(accuracy, probe_id)
            logits.append(_logit_table(data, predicted, "probe_id", probe_id))
    spec = RunSpec("probe", model_id, data.dataset_id, {"ids": [row["probe_id"] for row in rows]})
    with RunWriter(lake, spec) as writer:
        writer.commit({"probe": rows, "probe_logit": pa.concat_tables(logits)})
        writer.finish()


@dataclass(frozen=True)
class Curve:
    """One point of a signal curve: the probe accuracy at a locus and readout."""

    module: str
    layer: int
    readout: str
    accuracy: float


def _curves(signals: Signals, loci: list[dict[str, Any]]) -> Iterator[Curve]:
    """Rising in vision, flat through the connector, the last token filling up in the llm."""
    held = signals.connector if signals.image_tokens is None else signals.image_tokens
    for locus in loci:
        module, layer = locus["module"], locus["layer"]
        if module not in signals.modules:
            continue
        if module == "vision":
            share = (layer + 1) / (VISION_LAYERS + 1)
            end = signals.vision
            yield Curve(module, layer, "mean", 0.4 + (end - 0.14 - 0.4) * share)
            yield Curve(module, layer, "cls", min(0.98, 0.45 + (end - 0.42) * share))
            if layer == VISION_LAYERS:
                yield Curve(module, layer, "grid", end)
        elif module == "connector":
            yield Curve(module, layer, "mean", signals.connector - 0.16)
            yield Curve(module, layer, "grid", signals.connector)
        else:
            share = (layer + 1) / (LLM_LAYERS + 1)
            image = signals.connector + (held - signals.connector) * share
            yield Curve(module, layer, "mean", image - 0.1 * (1 - share))
            yield Curve(module, layer, "last", 0.3 + (signals.llm - 0.3) * min(1, share**0.7))
            if layer == LLM_LAYERS:
                yield Curve(module, layer, "grid", held)


def _loci(model_id: str) -> Iterator[dict[str, Any]]:
    depth = 0
    for module, n_layers, end in (
        ("vision", VISION_LAYERS, "post_norm"),
        ("connector", 0, "projector"),
        ("llm", LLM_LAYERS, "final_norm"),
    ):
        for layer in range(n_layers + 1):
            yield {
                "model_id": model_id,
                "module": module,
                "layer": layer,
                "depth": depth,
                "kind": "block" if layer < n_layers else end,
                "path": f"{module}.{layer}",
                "width": 32,
                "on_path": True,
            }
            depth += 1


def _model_row(model_id: str) -> dict[str, Any]:
    name, _, variant = model_id.partition("+")
    return {
        "model_id": model_id,
        "name": name,
        "variant": variant or "base",
        "hf_id": None,
        "revision": None,
        "model_type": "llava",
        "n_parameters": 1_000_000,
        "dtype": "float32",
        "licence": "Apache-2.0",
        "title": None,
    }


def _module_rows(model_id: str) -> list[dict[str, Any]]:
    sizes = {"vision": VISION_LAYERS + 1, "connector": 1, "llm": LLM_LAYERS + 1}
    return [
        {
            "model_id": model_id,
            "module": module,
            "module_order": order,
            "path": module,
            "n_layers": n_layers,
        }
        for order, (module, n_layers) in enumerate(sizes.items())
    ]


def _answers(
    data: MadeUpDataset, model_id: str, signals: Signals, method: str
) -> Iterator[dict[str, Any]]:
    """One reply per sample; those that name no class are among the wrong ones."""
    predicted = data.predict(signals.answer, model_id, "answer")
    logits = data.logits(predicted, model_id, "answer")
    logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    silent = np.zeros(len(predicted), dtype=bool)
    if method == "generate" and signals.unparsed:
        wrong = np.flatnonzero((predicted != data.class_index) & (data.split == "test"))
        n_silent = round(signals.unparsed * (data.split == "test").sum())
        silent[wrong[:n_silent]] = True
    for i, sample_id in enumerate(data.sample_ids):
        parsed = not silent[i]
        yield {
            "model_id": model_id,
            "dataset_id": data.dataset_id,
            "sample_id": str(sample_id),
            "method": method,
            "predicted_class_index": int(predicted[i]) if parsed else None,
            "label_logprobs": logprobs[i].tolist() if method == "likelihood" else None,
            "text": f"class {predicted[i]}" if parsed else "I cannot say",
            "parsed": parsed,
            **dict.fromkeys(("finish_reason", "n_tokens", "raw_text", "options")),
            **_corrected(logprobs[i] if method == "likelihood" else None),
        }


def _corrected(logprobs: np.ndarray | None) -> dict[str, Any]:
    """Likelihoods of phrases of two tokens, the later classes' being the commoner words."""
    if logprobs is None:
        return dict.fromkeys(("label_logprobs_per_token", "label_pmi", "end_token"))
    prior = np.arange(len(logprobs)) / 10 - 3
    return {
        "label_logprobs_per_token": (logprobs / 2).tolist(),
        "label_pmi": (logprobs - prior).tolist(),
        "end_token": "</s>",
    }


def _fit_columns(data: MadeUpDataset) -> dict[str, Any]:
    sizes = {f"n_{split}": int((data.split == split).sum()) for split in ("train", "val", "test")}
    return {"hyperparameters": {"C": 1.0}, **sizes, "fit_seconds": 0.1}


def _logit_table(data: MadeUpDataset, predicted: np.ndarray, key: str, value: str) -> pa.Table:
    rows = data.scored
    return pa.table(
        {
            key: [value] * len(rows),
            "sample_id": data.sample_ids[rows],
            "split": data.split[rows],
            "logits": list(data.logits(predicted, value)[rows]),
            "predicted_class_index": predicted[rows],
        }
    )
