"""A lake with one dataset and one model's activations, drawn so that the class can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from warehouse.images import image_sha256
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter

MODEL = "made-up"
DATASET = "shapes"

Place = tuple[str, int, str]

PLACES: dict[Place, int] = {
    ("vision", 0, "mean"): 12,
    ("vision", 1, "mean"): 12,
    ("vision", 1, "grid"): 48,
    ("connector", 0, "mean"): 80,
    ("llm", 0, "mean"): 80,
    ("llm", 0, "last"): 80,
}


def labels_and_splits(n_samples: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Balanced classes, and splits of one half, one quarter and one quarter."""
    rng = np.random.default_rng(0)
    classes = rng.permutation(np.arange(n_samples) % n_classes)
    return classes, np.array(["train", "val", "train", "test"])[np.arange(n_samples) % 4]


def _sha256(uri: str, i: int) -> str:
    """An image's hash as registration takes it, a made-up one where there is no file."""
    return image_sha256(uri) if Path(uri).is_file() else f"{i:064x}"


def dataset_lake(
    path: Path,
    classes: Sequence[int] | np.ndarray,
    splits: Sequence[str] | np.ndarray,
    uris: Sequence[str] | None = None,
    n_classes: int | None = None,
    dataset_id: str = DATASET,
    side: int = 8,
) -> Lake:
    """A lake with a registered dataset; sample i is called image-i."""
    lake = Lake.at(path)
    count = n_classes or int(max(classes)) + 1
    n = len(classes)
    rows = {
        "dataset": [
            {
                "dataset_id": dataset_id,
                "title": "Shapes",
                "n_samples": n,
                "n_classes": count,
                "licence": None,
                "pixel_rule": None,
            }
        ],
        "class": [
            {"dataset_id": dataset_id, "class_index": i, "label": f"c{i}", "phrase": f"class {i}"}
            for i in range(count)
        ],
        "sample": [
            {
                "dataset_id": dataset_id,
                "sample_id": f"image-{i:05d}",
                "uri": uris[i] if uris else f"made-up:{i}",
                "sha256": _sha256(uris[i] if uris else "", i),
                "class_index": int(classes[i]),
                "split": str(splits[i]),
                "group_id": f"g{i:05d}",
                "width": side,
                "height": side,
            }
            for i in range(n)
        ],
    }
    with RunWriter(lake, RunSpec("datasets", None, dataset_id, {"n": n})) as writer:
        writer.commit(rows)
        writer.finish()
    return lake


def drawn(classes: np.ndarray, width: int, seed: int, strength: float = 0.6) -> np.ndarray:
    """Vectors whose class shows with the given strength, under an offset and uneven scales."""
    rng = np.random.default_rng(seed)
    means = strength * rng.standard_normal((int(classes.max()) + 1, width))
    noise = rng.standard_normal((len(classes), width))
    return ((noise + means[classes]) * rng.uniform(0.1, 3, width) + 5).astype(np.float32)


def add_tokens(
    lake: Lake,
    tokens: Mapping[tuple[str, int], Sequence[np.ndarray]],
    *,
    model_id: str = MODEL,
    dataset_id: str = DATASET,
) -> None:
    """Commit the image tokens of loci that are described: of every sample [its tokens, width]."""
    rows = [
        {
            "model_id": model_id,
            "dataset_id": dataset_id,
            "module": module,
            "layer": layer,
            "sample_id": f"image-{i:05d}",
            "token": token,
            "row": 0,
            "column": token,
            "vector": vector.tolist(),
        }
        for (module, layer), samples in tokens.items()
        for i, of_one in enumerate(samples)
        for token, vector in enumerate(of_one)
    ]
    with RunWriter(lake, RunSpec("extract", model_id, dataset_id, {"tokens": True})) as writer:
        writer.commit({"token_activation": rows})
        writer.finish()


def add_activations(
    lake: Lake,
    vectors: Mapping[Place, np.ndarray],
    *,
    rows: Sequence[int] | None = None,
    model_id: str = MODEL,
    dataset_id: str = DATASET,
) -> None:
    """Commit the vectors [n samples, width] of some places, for all samples or only `rows`."""
    places = list(vectors)
    loci = sorted({place[:2] for place in places}, key=lambda p: ("vcl".index(p[0][0]), p[1]))
    widths = {
        (module, layer): vectors[module, layer, readout].shape[1] // (4 if readout == "grid" else 1)
        for module, layer, readout in places
    }
    described = {
        "model": [
            {
                "model_id": model_id,
                "name": model_id,
                "variant": "base",
                "hf_id": None,
                "revision": None,
                "model_type": "llava",
                "n_parameters": 1,
                "dtype": "float32",
                "licence": None,
                "title": None,
            }
        ],
        "module": [
            {
                "model_id": model_id,
                "module": module,
                "module_order": order,
                "path": module,
                "n_layers": sum(place[0] == module for place in loci),
            }
            for order, module in enumerate(dict.fromkeys(place[0] for place in loci))
        ],
        "layer": [
            {
                "model_id": model_id,
                "module": module,
                "layer": layer,
                "depth": depth,
                "kind": "block",
                "path": f"{module}.{layer}",
                "width": widths[module, layer],
                "on_path": True,
            }
            for depth, (module, layer) in enumerate(loci)
        ],
    }
    parts = [_table(model_id, dataset_id, place, vectors[place], rows) for place in places]
    config = {"places": [list(place) for place in places], "rows": list(rows or [])}
    with RunWriter(lake, RunSpec("extract", model_id, dataset_id, config)) as writer:
        writer.commit({**described, "activation": pa.concat_tables(parts)})
        writer.finish()


def _table(
    model_id: str, dataset_id: str, place: Place, vectors: np.ndarray, rows: Sequence[int] | None
) -> pa.Table:
    module, layer, readout = place
    kept = list(range(len(vectors))) if rows is None else list(rows)
    n = len(kept)
    return pa.table(
        {
            "model_id": [model_id] * n,
            "dataset_id": [dataset_id] * n,
            "module": [module] * n,
            "layer": pa.array([layer] * n, pa.int32()),
            "readout": [readout] * n,
            "sample_id": [f"image-{row:05d}" for row in kept],
            "vector": pa.array([vectors[row] for row in kept], pa.list_(pa.float32())),
        }
    )
