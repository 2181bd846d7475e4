"""A folder that Hugging Face's `datasets` loads: Parquet by split for every cell, and a card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

SPLITS = {"train": "train", "val": "validation", "test": "test"}
"""The Hub's names of our splits."""
MOST_ROWS = 4096
"""Rows of a row group: what a viewer fetches at once."""


def write_parts(
    folder: Path,
    vectors: NDArray[np.float32],
    samples: pl.DataFrame,
    classes: Sequence[str],
) -> None:
    """One file for each split that there are samples of, vectors as lists of one length."""
    folder.mkdir(parents=True)
    schema = _schema(vectors.shape[1], classes)
    split = samples["split"].to_numpy()
    for ours, theirs in SPLITS.items():
        own = np.flatnonzero(split == ours)
        if len(own):
            table = pa.table(
                [
                    samples["sample_id"].gather(own).to_arrow(),
                    samples["class_index"].gather(own).to_arrow(),
                    pa.FixedSizeListArray.from_arrays(
                        pa.array(vectors[own].reshape(-1)), vectors.shape[1]
                    ),
                ],
                names=["sample_id", "label", "vector"],
            )
            pq.write_table(
                table.cast(schema),
                folder / f"{theirs}-00000-of-00001.parquet",
                row_group_size=MOST_ROWS,
                compression="zstd",
            )


def _features(width: int, classes: Sequence[str]) -> dict[str, Any]:
    """The columns as `datasets` writes them beside Parquet's own types."""
    named = {"names": list(classes), "_type": "ClassLabel"}
    return {
        "sample_id": {"dtype": "string", "_type": "Value"},
        "label": named if classes else {"dtype": "int64", "_type": "Value"},
        "vector": {"feature": {"dtype": "float32", "_type": "Value"}, "length": width}
        | {"_type": "Sequence"},
    }


def _schema(width: int, classes: Sequence[str]) -> pa.Schema:
    told = {"info": {"features": _features(width, classes)}}
    columns = {"sample_id": pa.string(), "label": pa.int64()}
    columns["vector"] = pa.list_(pa.float32(), width)
    return pa.schema(columns.items(), metadata={"huggingface": json.dumps(told)})


def write_card(folder: Path, samples: pl.DataFrame, manifest: Mapping[str, Any]) -> None:
    """README.md: what the Hub reads at its head, what a person reads below."""
    (folder / "README.md").write_text(_card(samples, manifest), encoding="utf-8")


def _card(samples: pl.DataFrame, manifest: Mapping[str, Any]) -> str:
    model, dataset = manifest["model"], manifest["dataset"]
    held = set(samples["split"].to_list())
    splits = [theirs for ours, theirs in SPLITS.items() if ours in held]
    lines = ["---", f"pretty_name: {_text(_title(manifest))}", "tags:", "- layerhouse"]
    lines += ["- activations", "- probing", "configs:"]
    for at, locus in enumerate(manifest["loci"]):
        name = locus["config"]
        lines += [f"- config_name: {_text(name)}", "  data_files:"]
        for split in splits:
            lines += [f"  - split: {split}", f"    path: {_text(f'data/{name}/{split}-*.parquet')}"]
        if at == len(manifest["loci"]) - 1:
            lines.append("  default: true")
    rows = [
        f"| `{one['config']}` | {one['module']} | {one['layer']} | {one['kind']} | "
        f"{one['readout']} | {one['length']:,} |"
        for one in manifest["loci"]
    ]
    classes = ", ".join(map(_plain, manifest["classes"])) or "none"
    made_by = "; ".join(f"`{run['run_id']}`" for run in manifest["runs"])
    called = model["title"] or model["hf_id"] or model["model_id"]
    body = f"""---

# {_plain(_title(manifest))}

What the layers of {_plain(called)} hold of {len(samples):,} images of
{_plain(dataset["title"])}: one vector for each image, of every locus below. Written by
Layerhouse {manifest["layerhouse"]} from the runs {made_by}.

```python
from datasets import load_dataset

states = load_dataset("path/to/this/folder", "{manifest["loci"][-1]["config"]}")
```

| configuration | module | layer | kind | readout | numbers |
|---|---|---|---|---|---|
{chr(10).join(rows)}

`mean` is the average of the image's tokens, `last` the final token of the input, `cls` the class
token of the vision tower, `grid` the averages of four quarters, one after the other. Vectors are
float32; all configurations have the same samples in the same order. `label` is one of: {classes}.
The images are not in this folder; `sample_id` is what the lake calls them.
"""
    return "\n".join(lines) + "\n" + body


def _title(manifest: Mapping[str, Any]) -> str:
    return f"Activations of {manifest['model']['model_id']} on {manifest['dataset']['dataset_id']}"


def _text(words: str) -> str:
    """Words as YAML has them: every JSON string is one of its."""
    return json.dumps(words, ensure_ascii=False)


def _plain(words: Any) -> str:
    """Words that stand for themselves in Markdown, on one line."""
    line = " ".join(str(words).split())
    return "".join(f"\\{one}" if one in "\\`*_[]<>|#" else one for one in line)
