"""A made-up warehouse as large as the paper's study.

    python -m bench.paper_scale LAKE [--models 14] [--datasets 3] [--samples 5000] [--width 0]

14 models × 3 datasets × 60 loci × 5,000 samples are some eight million probe logits. The lake's own
writer writes everything, whole columns at a time. Signals rise through the vision tower and fall a
little after it, differently for each model. `--width` adds vectors of that width for the first
model on the first dataset, at every locus and readout.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from warehouse.lake import Lake, RunSpec, RunWriter
from warehouse.schema import table_defaults, table_schema

MODULES = {"vision": 27, "connector": 1, "llm": 32}
CLASSES = (8, 4, 2)
SPLITS = np.array(["train", "train", "train", "val", "test"])
PER_SHARD = 256


@dataclass(frozen=True)
class Scale:
    """How large the warehouse is; `width` 0 leaves the vectors out."""

    models: int = 14
    datasets: int = 3
    samples: int = 5000
    width: int = 0

    @property
    def model_ids(self) -> list[str]:
        return [f"model-{number:02d}" for number in range(self.models)]


@dataclass(frozen=True)
class Samples:
    """One dataset: ids, classes and splits of n samples."""

    dataset_id: str
    n_classes: int
    sample_id: np.ndarray
    class_index: np.ndarray
    split: np.ndarray

    @classmethod
    def draw(cls, number: int, n: int) -> "Samples":
        rng = np.random.default_rng(number)
        n_classes = CLASSES[number % len(CLASSES)]
        return cls(
            dataset_id=f"set-{number}",
            n_classes=n_classes,
            sample_id=np.array([f"image-{i:06d}" for i in range(n)]),
            class_index=rng.integers(0, n_classes, n, dtype=np.int32),
            split=SPLITS[np.arange(n) % len(SPLITS)],
        )

    def logits(self, rng: np.random.Generator, rows: np.ndarray, accuracy: float) -> np.ndarray:
        """Logits [rows, classes] that name the right class for about that share of the rows."""
        logits = rng.integers(-64, 64, (len(rows), self.n_classes)).astype(np.float32) / 64
        right = rng.random(len(rows)) < accuracy
        wrong = (self.class_index[rows] + rng.integers(1, self.n_classes, len(rows))) % (
            self.n_classes
        )
        named = np.where(right, self.class_index[rows], wrong)
        logits[np.arange(len(rows)), named] += 3
        return logits


def loci() -> Iterator[tuple[str, int, int]]:
    """(module, layer, depth) of every locus, from pixel to answer."""
    depth = 0
    for module, n_layers in MODULES.items():
        for layer in range(n_layers):
            yield module, layer, depth
            depth += 1


def tracks() -> Iterator[tuple[str, int, int, str]]:
    """(module, layer, depth, readout) of every probe: the readouts the agent takes by default."""
    for module, layer, depth in loci():
        yield module, layer, depth, "mean"
        if module == "llm":
            yield module, layer, depth, "last"
        if layer == MODULES[module] - 1:
            yield module, layer, depth, "grid"


def build(lake: Lake, scale: Scale) -> Lake:
    """Write the whole warehouse; the catalogue is left to the next command."""
    datasets = [Samples.draw(number, scale.samples) for number in range(scale.datasets)]
    for samples in datasets:
        write_dataset(lake, samples)
    for number, model_id in enumerate(scale.model_ids):
        for samples in datasets:
            _write_answers(lake, model_id, samples, number)
            _write_probes(lake, model_id, samples, number)
    if scale.width:
        write_vectors(lake, scale.model_ids[0], datasets[0], scale.width)
    return lake


def _signal(number: int, depth: int) -> float:
    """Accuracy of a probe at a depth: rising to the middle, then losing what the model loses."""
    n_vision = MODULES["vision"]
    rise = min(1.0, 0.4 + 0.6 * depth / n_vision)
    fall = max(0, depth - n_vision) / 33 * (0.1 + 0.02 * number)
    return 0.95 * rise - fall


def write_dataset(lake: Lake, samples: Samples) -> None:
    """A dataset with its samples, one attribute of theirs, and a baseline."""
    n, dataset_id = len(samples.sample_id), samples.dataset_id
    classes = range(samples.n_classes)
    table = {
        "dataset_id": [dataset_id] * n,
        "sample_id": samples.sample_id,
        "uri": [f"made-up:{i}" for i in range(n)],
        "sha256": [f"{i:064x}" for i in range(n)],
        "class_index": samples.class_index,
        "split": samples.split,
        "group_id": samples.sample_id,
        "width": [224] * n,
        "height": [224] * n,
    }
    views = np.array(["frontal", "lateral"])[np.arange(n) % 2]
    attributes = {
        "dataset_id": [dataset_id] * n,
        "sample_id": samples.sample_id,
        "name": ["view"] * n,
        "value": views,
    }
    described = {
        "dataset": [
            {
                "dataset_id": dataset_id,
                "title": f"Made-up set {dataset_id}",
                "n_samples": n,
                "n_classes": samples.n_classes,
                "licence": "CC0",
                "pixel_rule": None,
            }
        ],
        "class": [
            {"dataset_id": dataset_id, "class_index": i, "label": f"class {i}", "phrase": f"a {i}"}
            for i in classes
        ],
        "sample": pa.table(table),
        "sample_attribute": pa.table(attributes),
    }
    rng = np.random.default_rng(7)
    baseline_id = f"{dataset_id}-texture-svm-0"
    with RunWriter(lake, RunSpec("datasets", None, dataset_id, {"n": n})) as writer:
        writer.commit(described)
        writer.finish()
    baseline = {
        "baseline_id": baseline_id,
        "dataset_id": dataset_id,
        "architecture": "texture-svm",
        "kind": "svm",
        "seed": 0,
        **_fit_columns(samples),
    }
    logits = _logits(samples, rng, 0.85, "baseline_id", baseline_id)
    with RunWriter(lake, RunSpec("baseline", None, dataset_id, {"n": n})) as writer:
        writer.commit({"baseline": [baseline], "baseline_logit": logits})
        writer.finish()


def _write_answers(lake: Lake, model_id: str, samples: Samples, number: int) -> None:
    rng = np.random.default_rng([number, len(samples.sample_id)])
    n = len(samples.sample_id)
    logits = samples.logits(rng, np.arange(n), _signal(number, 60) - 0.05)
    logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    answers = likelihoods(
        model_id,
        samples.dataset_id,
        samples.sample_id,
        logits.argmax(axis=1).astype(np.int32),
        _lists(logprobs),
    )
    with RunWriter(lake, RunSpec("extract", model_id, samples.dataset_id, {"n": n})) as writer:
        writer.commit({**described(model_id), "answer": answers})
        writer.finish()


def likelihoods(
    model_id: str,
    dataset_id: str,
    ids: Sequence[str] | np.ndarray,
    predicted: np.ndarray,
    logprobs: pa.Array,
) -> pa.Table:
    """Rows of answers by likelihood, which have no reply."""
    n = len(ids)
    given = {
        "model_id": [model_id] * n,
        "dataset_id": [dataset_id] * n,
        "sample_id": ids,
        "method": ["likelihood"] * n,
        "predicted_class_index": predicted,
        "label_logprobs": logprobs,
        "label_logprobs_per_token": logprobs,
        "label_pmi": logprobs,
        "end_token": [""] * n,
        "parsed": [True] * n,
    }
    left = {*table_defaults("answer"), "run_id"}  # the lake fills them in
    nulls = {
        column.name: pa.nulls(n, column.type)
        for column in table_schema("answer")
        if column.name not in given.keys() | left
    }
    return pa.table(given | nulls)


def described(model_id: str, width: int = 16) -> dict[str, list[dict[str, object]]]:
    """The rows of model, module and layer; every layer is `width` wide."""
    model: dict[str, object] = {
        "model_id": model_id,
        "name": model_id,
        "title": None,
        "variant": "base",
        "hf_id": None,
        "revision": None,
        "model_type": "llava",
        "n_parameters": 7_000_000_000,
        "dtype": "bfloat16",
        "licence": "Apache-2.0",
    }
    modules = [
        {"module": module, "module_order": order, "path": module, "n_layers": n_layers}
        for order, (module, n_layers) in enumerate(MODULES.items())
    ]
    layers = [
        {
            "module": module,
            "layer": layer,
            "depth": depth,
            "kind": "block",
            "path": f"{module}.{layer}",
            "width": width,
            "on_path": True,
        }
        for module, layer, depth in loci()
    ]
    return {
        "model": [model],
        "module": [{"model_id": model_id, **row} for row in modules],
        "layer": [{"model_id": model_id, **row} for row in layers],
    }


def _write_probes(lake: Lake, model_id: str, samples: Samples, number: int) -> None:
    rng = np.random.default_rng([number, samples.n_classes])
    rows, logits = [], []
    for module, layer, depth, readout in tracks():
        probe_id = f"{model_id}-{samples.dataset_id}-{module}-{layer}-{readout}-0"
        rows.append(
            {
                "probe_id": probe_id,
                "model_id": model_id,
                "dataset_id": samples.dataset_id,
                "module": module,
                "layer": layer,
                "readout": readout,
                "kind": "linear",
                "control": "none",
                "seed": 0,
                **_fit_columns(samples),
            }
        )
        logits.append(_logits(samples, rng, _signal(number, depth), "probe_id", probe_id))
    spec = RunSpec("probe", model_id, samples.dataset_id, {"n": len(samples.sample_id)})
    with RunWriter(lake, spec) as writer:
        writer.commit({"probe": rows, "probe_logit": pa.concat_tables(logits)})
        writer.finish()


def _fit_columns(samples: Samples) -> dict[str, object]:
    counts = {f"n_{split}": int((samples.split == split).sum()) for split in np.unique(SPLITS)}
    return {"hyperparameters": {"C": 1.0}, **counts, "fit_seconds": 0.1}


def _logits(
    samples: Samples, rng: np.random.Generator, accuracy: float, key: str, value: str
) -> pa.Table:
    rows = np.flatnonzero(samples.split != "train")
    logits = samples.logits(rng, rows, accuracy)
    return pa.table(
        {
            key: pa.repeat(value, len(rows)),
            "sample_id": samples.sample_id[rows],
            "split": samples.split[rows],
            "logits": _lists(logits),
            "predicted_class_index": logits.argmax(axis=1).astype(np.int32),
        }
    )


def _lists(values: np.ndarray) -> pa.ListArray:
    """A float32 list column of an array [n, width]."""
    n, width = values.shape
    offsets = np.arange(0, n * width + 1, width, dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, np.ascontiguousarray(values, np.float32).ravel())


def write_vectors(lake: Lake, model_id: str, samples: Samples, width: int) -> None:
    """Vectors of every locus and readout, as the agent commits them: sample range by range.

    Grid readouts are four times as wide, as everywhere.
    """
    rng = np.random.default_rng(1)
    spec = RunSpec("extract", model_id, samples.dataset_id, {"vectors": width})
    with RunWriter(lake, spec) as writer:
        for first in range(0, len(samples.sample_id), PER_SHARD):
            ids = samples.sample_id[first : first + PER_SHARD]
            n = len(ids)
            parts = [
                pa.table(
                    {
                        "model_id": pa.repeat(model_id, n),
                        "dataset_id": pa.repeat(samples.dataset_id, n),
                        "module": pa.repeat(module, n),
                        "layer": pa.repeat(pa.scalar(layer, pa.int32()), n),
                        "readout": pa.repeat(readout, n),
                        "sample_id": ids,
                        "vector": _lists(
                            rng.standard_normal(
                                (n, width * (4 if readout == "grid" else 1)), np.float32
                            )
                        ),
                    }
                )
                for module, layer, _, readout in tracks()
            ]
            writer.commit({"activation": pa.concat_tables(parts)}, covers={"loci": [str(first)]})
        writer.finish()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lake", type=Path)
    for name, default in (("models", 14), ("datasets", 3), ("samples", 5000), ("width", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = vars(parser.parse_args())
    started = time.monotonic()
    lake = build(Lake.at(given.pop("lake")), Scale(**given))
    print(f"{lake.root}: {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
