"""Exporting: a model's vectors on a dataset as files that need no Layerhouse."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from extract.reading import check_names
from extract.states.cards import write_card, write_parts
from extract.states.layout import FORMATS, HF, KIND, MANIFEST, NPY, SAMPLES, VERSION, is_ours
from warehouse.catalogue import DatasetInfo, Warehouse, connect, dataset, package_readouts
from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.extensions import layerhouse_version
from warehouse.files import folder_at_once, permit_as_usual, telling_unwritable, write_json
from warehouse.lake import Lake
from warehouse.untrusted import UnfitError, parse_json, read_bounded
from warehouse.variants import making
from warehouse.vocabulary import READOUTS, Cell

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Selected:
    """Which loci are wanted; nothing means all. `layers` are numbers in their module, or kinds such
    as final_norm; negatives count from the end."""

    modules: Sequence[str] = ()
    layers: Sequence[int | str] = ()
    readouts: Sequence[str] = ()


@dataclass(frozen=True)
class Exported:
    """What was written: the folder, and how many samples and cells (readouts of loci) it holds."""

    out: Path
    n_samples: int
    n_cells: int
    n_bytes: int


def export_states(
    lake: Lake,
    model_id: str,
    dataset_id: str,
    out: Path,
    *,
    form: str,
    selected: Selected,
    force: bool = False,
) -> Exported:
    """Write a model's vectors on a dataset, float32 as the lake has them, to a new folder.

    It holds `manifest.json` (loci, model, dataset, classes, which state of the lake), the samples
    with their labels and splits, and the vectors in the order of the samples: a safetensors file
    for each locus with a tensor [n samples, width] for each readout, a .npy file for each readout
    of a locus, or a Hugging Face dataset with a card and a configuration for each. No path and no
    patient is in it, but the samples' own ids are. It appears whole or not at all.

    Raises UsageError for what the lake does not hold, and where `out` exists, unless `force` says
    to replace an earlier export; LayerhouseError where cells hold different samples, and where the
    folder cannot be written.
    """
    if form not in FORMATS:
        raise UsageError(f"unknown format {form!r}{nearest(form, FORMATS)}")
    lake.refuse_own(out)
    _refuse_existing(out, force=force)
    with connect(lake) as wh:
        cells, described = _cells(wh, model_id, dataset_id, selected)
        info = dataset(wh, dataset_id)
        names = wh.vectors(model_id, dataset_id, *_named(cells[0]))[0]
        samples = _samples(info, names)

        def read(cell: Cell) -> Matrix:
            held, vectors = wh.vectors(model_id, dataset_id, *_named(cell))
            if held != names:
                raise LayerhouseError(
                    f"{cells[0]} and {cell} of {model_id} on {dataset_id} hold different samples "
                    f"({len(names):,} and {len(held):,}); extract what is missing, or name loci "
                    "with --module and --layer that were extracted together"
                )
            return vectors

        manifest = _manifest(wh, model_id, info, form, described)

        def write(folder: Path) -> None:
            WRITERS[form](folder, _States(cells, read, samples), manifest)
            write_json(folder / MANIFEST, manifest)

        return Exported(out, len(names), len(cells), _at_once(out, write))


def _at_once(out: Path, write: Callable[[Path], None]) -> int:
    """Write a folder that is there whole or not at all; its bytes."""
    with telling_unwritable(out), folder_at_once(out.absolute()) as folder:
        write(folder)
        return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def _named(cell: Cell) -> tuple[str, int, str]:
    return cell.module, cell.layer, cell.readout


def _refuse_existing(out: Path, *, force: bool) -> None:
    """An earlier export gives way where that is asked for, and nothing else does."""
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir() or out.is_symlink():
        raise UsageError(f"--out {out} is no folder; name a new one")
    if not any(out.iterdir()):
        return
    ours = False
    with suppress(OSError, UnfitError):
        ours = is_ours(parse_json(read_bounded(out / MANIFEST)))
    if not ours:
        raise UsageError(f"--out {out} holds other files; name a new folder")
    if not force:
        raise UsageError(f"--out {out} holds an export already; --force replaces it")


def _cells(
    wh: Warehouse, model_id: str, dataset_id: str, selected: Selected
) -> tuple[list[Cell], list[dict[str, Any]]]:
    """The cells that are wanted, in pipeline order, with what is known of the locus of each."""
    slots = {n: f.slots for n, f in READOUTS.items()}
    slots |= {facts.name: facts.slots for facts, _ in package_readouts(wh)}
    check_names(selected.modules, [name for name in selected.readouts if name not in slots])
    if "tokens" in selected.readouts:
        raise UsageError(
            "image tokens are several vectors of each sample and are not exported; "
            "`layerhouse delta --table token_activation` shows them to other programs"
        )
    rows = wh.sql(_CELLS, [model_id, dataset_id]).pl().to_dicts()
    if not rows:
        for table, name in (("model", model_id), ("dataset", dataset_id)):
            held = [one for (one,) in wh.sql(f"SELECT {table}_id FROM {table}").fetchall()]
            if name not in held:
                raise UsageError(f"the lake holds no {table} {name!r}{nearest(name, held)}")
        raise UsageError(
            f"the lake holds no activations of {model_id} on {dataset_id}; `layerhouse extract "
            f"{making(model_id, dataset_id)}` adds them"
        )
    for layer in selected.layers:
        if not any(_is_layer(row, layer) for row in rows if _wanted(row, selected, layers=False)):
            legal = "; ".join(f"{module} has {_told(rows, module)}" for module in _modules(rows))
            raise UsageError(f"no locus that was extracted matches layer {layer!r}; {legal}")
    found = [row for row in rows if _wanted(row, selected, layers=True)]
    if not found:
        known = ", ".join(dict.fromkeys(f"{r['module']} {r['readout']}" for r in rows))
        raise UsageError(
            f"nothing of {model_id} on {dataset_id} is of those modules and readouts; the lake "
            f"holds {known}"
        )
    told = ("module", "layer", "readout", "depth", "kind", "path", "width", "on_path")
    cells = [Cell(row["module"], row["layer"], row["readout"]) for row in found]
    return cells, [
        {name: row[name] for name in told} | {"length": row["width"] * slots[row["readout"]]}
        for row in found
    ]


def _modules(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["module"] for row in rows))


def _told(rows: Sequence[Mapping[str, Any]], module: str) -> str:
    """The layers of a module, of which some may not have been extracted."""
    layers = sorted({row["layer"] for row in rows if row["module"] == module})
    if len(layers) > 2 and layers[-1] - layers[0] == len(layers) - 1:
        return f"{layers[0]} to {layers[-1]}"
    return ", ".join(map(str, layers))


def _wanted(row: Mapping[str, Any], selected: Selected, *, layers: bool) -> bool:
    return (
        (not selected.modules or row["module"] in selected.modules)
        and (not selected.readouts or row["readout"] in selected.readouts)
        and (
            not layers
            or not selected.layers
            or any(_is_layer(row, layer) for layer in selected.layers)
        )
    )


def _is_layer(row: Mapping[str, Any], layer: int | str) -> bool:
    try:
        number = int(layer)
    except ValueError:
        return bool(row["kind"] == layer)
    return number in (row["layer"], row["layer"] - row["n_layers"])


def _samples(info: DatasetInfo, names: Sequence[str]) -> pl.DataFrame:
    """One row for each sample, in the order of the vectors."""
    labels = {index: one.label for index, one in enumerate(info.classes)}
    known = info.samples.select("sample_id", "class_index", "split")
    rows = pl.DataFrame({"sample_id": names}).join(
        known, on="sample_id", how="left", maintain_order="left"
    )
    label = pl.col("class_index").replace_strict(
        list(labels), list(labels.values()), default=None, return_dtype=pl.String
    )
    return rows.with_columns(label.alias("label"))


def _manifest(
    wh: Warehouse,
    model_id: str,
    info: DatasetInfo,
    form: str,
    described: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """What is exported, and from which state of which lake's commits."""
    rows = wh.sql("SELECT * EXCLUDE (run_id) FROM model WHERE model_id = $1", [model_id]).pl()
    runs = wh.sql(_RUNS, [model_id, info.dataset_id]).pl().to_dicts()
    commits = wh.sql("SELECT commit_id, hash FROM commit_record ORDER BY ALL").fetchall()
    return {
        "kind": KIND,
        "version": VERSION,
        "layerhouse": layerhouse_version(),
        "commit_set": blake2b(repr(commits).encode(), digest_size=16).hexdigest(),
        "model": rows.to_dicts()[0],
        "dataset": {"dataset_id": info.dataset_id, "title": info.title, "score": info.score},
        "classes": [one.label for one in info.classes],
        "runs": [{**run, "versions": json.loads(run["versions"])} for run in runs],
        "format": form,
        "dtype": "float32",
        "samples": SAMPLES,
        "loci": [dict(row) for row in described],
    }


@dataclass(frozen=True)
class _States:
    """What is written: the vectors of cells, each read when it is asked for, of these samples."""

    cells: Sequence[Cell]
    read: Callable[[Cell], Matrix]
    samples: pl.DataFrame


def _write_safetensors(folder: Path, states: _States, manifest: dict[str, Any]) -> None:
    """A file for each locus, so that no more than one locus is in memory."""
    from safetensors.numpy import save_file

    states.samples.write_parquet(folder / SAMPLES)
    about = {"states": f"{manifest['model']['model_id']} on {manifest['dataset']['dataset_id']}"}
    for place in dict.fromkeys((cell.module, cell.layer) for cell in states.cells):
        file = f"{place[0]}.{place[1]}.safetensors"
        own = [(at, cell) for at, cell in enumerate(states.cells) if cell[:2] == place]
        tensors = {cell.readout: states.read(cell) for _, cell in own}
        save_file(tensors, folder / file, metadata=about)
        permit_as_usual(folder / file)
        for at, cell in own:
            manifest["loci"][at] |= {"file": file, "tensor": cell.readout}


def _write_npy(folder: Path, states: _States, manifest: dict[str, Any]) -> None:
    states.samples.write_parquet(folder / SAMPLES)
    for at, cell in enumerate(states.cells):
        file = f"{cell.module}.{cell.layer}.{cell.readout}.npy"
        np.save(folder / file, states.read(cell), allow_pickle=False)
        manifest["loci"][at]["file"] = file


def _write_hf(folder: Path, states: _States, manifest: dict[str, Any]) -> None:
    del manifest["samples"]  # which are in every part
    for at, cell in enumerate(states.cells):
        config = f"{cell.module}.{cell.layer}.{cell.readout}"
        vectors, classes = states.read(cell), manifest["classes"]
        write_parts(folder / "data" / config, vectors, states.samples, classes)
        manifest["loci"][at]["config"] = config
    write_card(folder, states.samples, manifest)


WRITERS = {"safetensors": _write_safetensors, NPY: _write_npy, HF: _write_hf}

_CELLS = """
WITH held AS (
    SELECT DISTINCT module, layer, readout
    FROM activation
    WHERE model_id = $1 AND dataset_id = $2
)
SELECT
    held.module, held.layer, held.readout,
    layer.depth, layer.kind, layer.path, layer.width, layer.on_path,
    (SELECT max(l.layer) + 1 FROM layer AS l
     WHERE l.model_id = $1 AND l.module = held.module) AS n_layers
FROM held
INNER JOIN layer ON layer.model_id = $1
    AND layer.module = held.module AND layer.layer = held.layer
ORDER BY layer.depth, held.readout
"""
_RUNS = """
SELECT run_id, command, versions FROM run
WHERE model_id = $1 AND dataset_id = $2 AND command IN ('extract', 'import')
ORDER BY started_at, run_id
"""
