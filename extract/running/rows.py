"""Rows: what extraction writes into the lake's tables."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from extract.anatomy import Anatomy
from extract.answering import ReplyPlace
from extract.models import LoadedModel
from extract.reading import JoinedVectors, brought_readouts
from extract.running.results import Answer
from extract.sharing import Way
from warehouse.vocabulary import CONNECTOR, DEFAULT_PROMPT, LLM, MODULES, VISION, Cell

DEFAULT_WAY = Way(DEFAULT_PROMPT)

Vectors = NDArray[np.float32]
"""Of some samples, (samples, width)."""


def activation_table(
    model_id: str, dataset_id: str, sample_ids: Sequence[str], vectors: Mapping[Cell, Vectors]
) -> pa.Table:
    """All vectors of a range, ordered by module, layer, readout and sample as shards hold them.

    The vectors are in the order of the sorted sample ids.
    """
    names = pa.array(sorted(sample_ids), pa.string())
    n = len(names)
    parts = [
        _at_locus(model_id, dataset_id, cell, n)
        | {
            "readout": pa.repeat(cell.readout, n),
            "sample_id": names,
            "vector": _lists(vectors[cell]),
        }
        for cell in sorted(vectors)
    ]
    return pa.concat_tables(map(pa.table, parts))


def token_table(
    model_id: str, dataset_id: str, sample_ids: Sequence[str], vectors: JoinedVectors
) -> pa.Table:
    """All image tokens of a range whose tokens are kept, ordered as shards hold them."""
    names = sorted(sample_ids)
    parts = []
    for cell in vectors.token_cells:
        tokens = vectors.tokens(cell)
        counts = [len(values) for values, _ in tokens]
        places = np.concatenate([places for _, places in tokens])
        parts.append(
            _at_locus(model_id, dataset_id, cell, sum(counts))
            | {
                "sample_id": pa.array(np.repeat(np.array(names, dtype=object), counts)),
                "token": np.concatenate([np.arange(k, dtype=np.int32) for k in counts]),
                "row": pa.array(places[:, 0], mask=places[:, 0] < 0),
                "column": pa.array(places[:, 1], mask=places[:, 1] < 0),
                "vector": pa.chunked_array([_lists(values) for values, _ in tokens]),
            }
        )
    return pa.concat_tables(map(pa.table, parts))


def _at_locus(model_id: str, dataset_id: str, cell: Cell, n: int) -> dict[str, Any]:
    """The columns of `n` rows that say at which locus of which model on which dataset they are."""
    return {
        "model_id": pa.repeat(model_id, n),
        "dataset_id": pa.repeat(dataset_id, n),
        "module": pa.repeat(cell.module, n),
        "layer": pa.repeat(pa.scalar(cell.layer, pa.int32()), n),
    }


def _lists(values: Vectors) -> pa.ListArray:
    n, width = values.shape
    ends = pa.array(np.arange(0, (n + 1) * width, width, dtype=np.int32))
    return pa.ListArray.from_arrays(ends, pa.array(values.reshape(-1)))


def answer_rows(
    model_id: str, dataset_id: str, answers: Sequence[Answer], own: Way = DEFAULT_WAY
) -> list[dict[str, Any]]:
    """The rows of the `answer` table; `own` is how the run asks by itself."""
    return [
        {
            "model_id": model_id,
            "dataset_id": dataset_id,
            "sample_id": answer.sample_id,
            "method": answer.method,
            "predicted_class_index": answer.predicted,
            "label_logprobs": None if answer.logprobs is None else list(answer.logprobs),
            "text": answer.text,
            "parsed": answer.predicted is not None,
            "finish_reason": answer.finish,
            "n_tokens": answer.n_tokens,
            "raw_text": answer.raw,
            "label_logprobs_per_token": answer.per_token,
            "label_pmi": answer.pmi,
            "end_token": answer.end,
            **asdict(answer.way or own),
            "options": None,
        }
        for answer in answers
    ]


def draw_rows(
    model_id: str, dataset_id: str, answers: Sequence[Answer], own: Way
) -> list[dict[str, Any]]:
    """The rows of the `reply_draw` table, of answers by several replies; `own` as above."""
    of = {"model_id": model_id, "dataset_id": dataset_id}
    return [
        {
            **of,
            "sample_id": answer.sample_id,
            "method": answer.method,
            **asdict(answer.way or own),
            "draw": number,
            "seed": draw.seed,
            "predicted_class_index": draw.predicted,
            "text": draw.text,
            "raw_text": draw.raw,
            "finish_reason": draw.finish,
            "n_tokens": draw.n_tokens,
        }
        for answer in answers
        for number, draw in enumerate(answer.draws)
    ]


def place_rows(
    model_id: str, dataset_id: str, places: Mapping[str, ReplyPlace]
) -> list[dict[str, Any]]:
    """The rows of the `reply_place` table."""
    of = {"model_id": model_id, "dataset_id": dataset_id}
    return [{**of, "sample_id": name, **asdict(place)} for name, place in sorted(places.items())]


def donor_rows(
    dataset_id: str, sample_ids: Sequence[str], donors: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """The rows of the `image_donor` table: whose image was shown, by image control."""
    return [
        {
            "dataset_id": dataset_id,
            "sample_id": name,
            "image_control": control,
            "donor_id": chosen[name],
        }
        for control, chosen in donors.items()
        if chosen
        for name in sorted(sample_ids)
    ]


def readout_rows(readouts: Mapping[str, Sequence[str]]) -> dict[str, list[dict[str, Any]]]:
    """The rows that keep the facts of the readouts that packages brought, by table; mostly none."""
    met = {name for names in readouts.values() for name in names}
    rows = [
        asdict(readout.facts) | {"identity": readout.identity}
        for name, readout in brought_readouts().items()
        if name in met
    ]
    return {"package_readout": rows} if rows else {}


def model_rows(
    model_id: str, variant: str, loaded: LoadedModel, anatomy: Anatomy
) -> dict[str, list[dict[str, Any]]]:
    """The rows that describe a model: itself, its modules, its loci, and what it was made from."""
    source = loaded.source
    entry = source.entry
    model = {
        "model_id": model_id,
        "name": source.name,
        "variant": variant,
        "hf_id": entry.hub if entry is not None else None,
        "revision": source.revision,
        "model_type": loaded.model_type,
        "n_parameters": loaded.n_parameters,
        "dtype": str(loaded.dtype).removeprefix("torch."),
        "licence": entry.licence if entry is not None else None,
        "title": entry.title if entry is not None else None,
    }
    paths = {
        VISION: anatomy.tower,
        CONNECTOR: anatomy.of(CONNECTOR)[0].path,
        LLM: anatomy.decoder,
    }
    modules = [
        {
            "model_id": model_id,
            "module": module,
            "module_order": order,
            "path": paths[module],
            "n_layers": sum("norm" not in locus.kind for locus in anatomy.of(module)),
        }
        for order, module in enumerate(MODULES)
    ]
    layers = [
        {
            "model_id": model_id,
            "module": locus.module,
            "layer": locus.layer,
            "depth": locus.depth,
            "kind": locus.kind,
            "path": locus.path,
            "width": locus.width,
            "on_path": locus.on_path,
        }
        for locus in anatomy.loci
    ]
    rows: dict[str, list[dict[str, Any]]] = {"model": [model], "module": modules, "layer": layers}
    if entry is not None and entry.general_base is not None:
        rows["model_base"] = [{"name": source.name, "base_name": entry.general_base}]
    return rows
