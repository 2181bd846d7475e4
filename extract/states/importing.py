"""Importing: vectors that another program took, as a model's activations in the lake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from extract.answers import SampleNames, model_row
from extract.models import matching_entries
from extract.running import activation_table
from extract.sharing import Seen, find_seen
from extract.states.manifests import StatesFolder, read_manifest
from extract.states.places import TensorPlace
from extract.states.reading import read_rows, widths
from warehouse.catalogue import DatasetInfo, Warehouse, dataset, open_tables
from warehouse.errors import LayerhouseError, UsageError
from warehouse.files import checksum
from warehouse.lake import Lake, RunSpec, RunWriter, exclusive, find_runs
from warehouse.progress import Progress
from warehouse.vocabulary import MODULES, READOUTS, SAYS_SEEN, Cell

COMMAND = "import"
RANGE = 256
"""Samples of a range are a multiple of this, which is what a row group holds."""
RANGE_BYTES = 2**28
NOT_BROUGHT = "no states were brought of it"
"""Why a sample was left out, in `rejected_sample`."""


@dataclass(frozen=True)
class StateOptions:
    """How a folder of states is meant.

    `title` is what the model is called, by default as the manifest says; `partial` accepts samples
    of the dataset that the folder lacks, `skip_unknown` leaves out what names no sample;
    `trained_on` says what the model saw in training, as for `extract`.
    """

    title: str | None = None
    partial: bool = False
    skip_unknown: bool = False
    trained_on: Sequence[str] = ()


@dataclass(frozen=True)
class StateSummary:
    """What an import did; `added` is False where the lake held the folder's states already.
    `n_missing` samples of the dataset have none; `notes` are worth showing."""

    run_id: str
    model_id: str
    dataset_id: str
    added: bool
    n_samples: int
    n_missing: int
    n_cells: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Brought:
    """What a folder brings: its rows by the names of the lake's samples, None for those that are
    left out, and what each locus is."""

    manifest: StatesFolder
    samples: tuple[str | None, ...]
    widths: Mapping[Cell, int]
    missing: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def loci(self) -> list[TensorPlace]:
        """One place for each locus, in pipeline order."""
        by_locus = {(p.cell.module, p.cell.layer): p for p in self.manifest.places}
        return [by_locus[key] for key in sorted(by_locus, key=_pipeline)]

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Rows start … stop-1 of the folder, such that all of a range's vectors fit in memory."""
        n, row = len(self.samples), 4 * sum(self.widths.values())
        size = RANGE * max(1, min(16, RANGE_BYTES // (row * RANGE)))
        for start in range(0, n, size):
            yield start, min(start + size, n)


def import_states(
    lake: Lake,
    folder: Path,
    model_id: str,
    dataset_id: str,
    options: StateOptions,
    progress: Progress | None = None,
) -> StateSummary:
    """Add the states of a folder to the lake, as the activations of a model on a dataset.

    The folder's manifest says what its files hold. They become visible range by range; stopped
    anywhere, the same call goes on. Raises UsageError for what cannot be meant, LayerhouseError for
    all that is wrong with the folder.
    """
    manifest = read_manifest(folder)
    with open_tables(lake) as wh:
        info = dataset(wh, dataset_id)
        _refuse_other_states(lake, model_id)
        row = _model_row(wh, model_id, options.title, manifest.title)
        seen = find_seen(wh, info, None, options.trained_on, model_id)
        seen.refuse_other(model_id, dataset_id)
    brought = _matched(lake, manifest, info, options)
    tables = {"model": [row], **_described(model_id, brought)}
    with open_tables(lake) as wh:
        _refuse_other_loci(wh, model_id, tables["layer"])
    config = {
        "folder": folder.resolve().name,
        "manifest": checksum(manifest.file),
        "files": {f.relative_to(folder).as_posix(): checksum(f) for f in manifest.files},
        "skip_unknown": options.skip_unknown,
    }
    spec = RunSpec(COMMAND, model_id, dataset_id, config)
    with exclusive(lake, COMMAND, model_id, dataset_id) as looked:
        added = _write(lake, spec, looked, brought, _First(tables, seen), progress)
    return StateSummary(
        spec.run_id,
        model_id,
        dataset_id,
        added,
        sum(name is not None for name in brought.samples),
        len(brought.missing),
        len(brought.widths),
        (*brought.notes, *seen.notes),
    )


def _model_row(
    wh: Warehouse, model_id: str, title: str | None, called: str | None
) -> dict[str, Any]:
    held = wh.sql("SELECT 1 FROM model WHERE model_id = $1", [model_id]).fetchall()
    return model_row(wh, model_id, title if held else title or called or model_id)


def _refuse_other_states(lake: Lake, model_id: str) -> None:
    """A name that we run models by is ours: both would write the same cells."""
    entries = {entry.name for entry in matching_entries()}
    if model_id in entries or find_runs(lake, "extract", model_id):
        known = "the registry" if model_id in entries else "the lake's own extraction"
        raise UsageError(
            f"{model_id} is a model of {known}; give what another program took of it a name of its "
            f"own, such as --model {quote(f'{model_id}-brought')}"
        )


def _refuse_other_loci(wh: Warehouse, model_id: str, layers: Sequence[dict[str, Any]]) -> None:
    held = wh.sql(
        "SELECT module, layer, width FROM layer WHERE model_id = $1 ORDER BY ALL", [model_id]
    ).fetchall()
    mine = sorted((row["module"], row["layer"], row["width"]) for row in layers)
    if held and held != mine:
        raise LayerhouseError(
            f"the lake knows {len(held):,} loci of {model_id} and the folder brings {len(mine):,}, "
            "which are not the same; give this model another --model, or take the other's runs out "
            f"first (`layerhouse models remove {quote(model_id)}`)"
        )


def _matched(
    lake: Lake, manifest: StatesFolder, info: DatasetInfo, options: StateOptions
) -> _Brought:
    """Which sample each row is of. Raises LayerhouseError where that is not certain."""
    names = SampleNames.of(lake, info)
    found: list[str | None] = []
    rows: dict[str, str] = {}
    unknown, n_removed = [], 0
    for said in manifest.samples:
        sample = None
        if names.is_removed(said):
            n_removed += 1
        elif (sample := names.find(said)) is None:
            unknown.append(said)
        elif sample in rows:
            raise LayerhouseError(
                f"{rows[sample]} and {said} of {manifest.file} are both the sample {sample}; the "
                "lake keeps one"
            )
        else:
            rows[sample] = said
        found.append(sample)
    if unknown and not (rows and options.skip_unknown):
        raise LayerhouseError(_unknown_said(unknown, manifest, info, rows))
    _refuse_other_labels(manifest, info, found)
    missing = tuple(name for name in info.samples["sample_id"] if name not in rows)
    if missing and not options.partial:
        raise LayerhouseError(
            f"{manifest.folder} holds no states of {len(missing):,} of {info.samples.height:,} "
            f"samples of {info.dataset_id}, first {missing[0]}; --partial accepts that, and probes "
            "and scores are then about the others"
        )
    notes = [f"{n_removed:,} samples that were removed were left out"] if n_removed else []
    notes += [f"{len(unknown):,} rows that name no sample were left out"] if unknown else []
    return _Brought(manifest, tuple(found), widths(manifest), missing, tuple(notes))


def _refuse_other_labels(
    manifest: StatesFolder, info: DatasetInfo, found: Sequence[str | None]
) -> None:
    """An export's samples of the same names are others where their classes are."""
    ids, classes = info.samples["sample_id"], info.samples["class_index"]
    held = {
        name: None if index is None else info.classes[index].label
        for name, index in zip(ids, classes, strict=True)
    }
    for name, label in zip(found, manifest.labels or (), strict=False):
        if name is not None and held[name] != label:
            raise LayerhouseError(
                f"{manifest.folder} says that {name} is of the class {label}, and in "
                f"{info.dataset_id} it is of {held[name]}; name the --dataset that was exported, "
                "or leave the column label out of its samples where the labels were changed since"
            )


def _unknown_said(
    unknown: Sequence[str], manifest: StatesFolder, info: DatasetInfo, known: Mapping[str, str]
) -> str:
    way = "--skip-unknown leaves them out" if known else "name the right --dataset"
    example = info.samples["sample_id"][0] if len(info.samples) else "nothing"
    return (
        f"{len(unknown):,} of {len(manifest.samples):,} rows of {manifest.file} name no sample of "
        f"{info.dataset_id}, first {unknown[0]!r}; its samples are called like {example}: {way}"
    )


def _pipeline(locus: tuple[str, int]) -> tuple[int, int]:
    return MODULES.index(locus[0]), locus[1]


def _described(model_id: str, brought: _Brought) -> dict[str, list[dict[str, Any]]]:
    """The rows of the model's modules and loci, which are those that the folder brings."""
    loci = brought.loci
    layers = [
        {
            "model_id": model_id,
            "module": place.cell.module,
            "layer": place.cell.layer,
            "depth": depth,
            "kind": place.kind,
            "path": place.path,
            "width": brought.widths[place.cell] // READOUTS[place.cell.readout].slots,
            "on_path": place.on_path,
        }
        for depth, place in enumerate(loci)
    ]
    modules = [
        {
            "model_id": model_id,
            "module": module,
            "module_order": order,
            "path": own[0].path.rpartition(".")[0] or module,
            "n_layers": sum("norm" not in place.kind for place in own),
        }
        for order, module in enumerate(MODULES)
        if (own := [place for place in loci if place.cell.module == module])
    ]
    return {"module": modules, "layer": layers}


@dataclass(frozen=True)
class _First:
    """What goes with the first range: the rows that describe the model, and what it saw."""

    tables: dict[str, list[dict[str, Any]]]
    seen: Seen


def _write(
    lake: Lake,
    spec: RunSpec,
    looked: frozenset[str],
    brought: _Brought,
    first: _First,
    progress: Progress | None,
) -> bool:
    """Commit what the lake lacks; False where it has all."""
    with RunWriter(lake, spec, looked) as writer:
        if writer.is_finished:
            return False
        for run in find_runs(lake, COMMAND, spec.model_id, spec.dataset_id):
            if run["run_id"] != spec.run_id:
                held = "already" if run["status"] == "finished" else "of an import that was stopped"
                raise LayerhouseError(
                    f"the lake holds states of {spec.model_id} on {spec.dataset_id} {held}, from "
                    f"{run['config'].get('folder')} with other files or options; give these "
                    "another --model, or take those out with "
                    f"`layerhouse runs remove {run['run_id']}`"
                )
        done = {(one.covers.get("start"), one.covers.get("stop")) for one in writer.committed}
        ranges = list(brought.ranges())
        for start, stop in ranges:
            if (start, stop) not in done:
                covers, tables = {"start": start, "stop": stop}, _rows(spec, brought, start, stop)
                if start == 0:
                    tables |= (
                        first.tables | first.seen.rows(*_pair(spec)) | _left_out(spec, brought)
                    )
                    covers[SAYS_SEEN] = len(first.seen.known)
                writer.commit(tables, covers, finished=stop == len(brought.samples))
            if progress is not None:
                progress(stop, len(brought.samples))
        writer.finish()
    return True


def _pair(spec: RunSpec) -> tuple[str, str]:
    return str(spec.model_id), str(spec.dataset_id)


def _left_out(spec: RunSpec, brought: _Brought) -> dict[str, list[dict[str, Any]]]:
    of = {"dataset_id": spec.dataset_id, "reason": NOT_BROUGHT}
    rows = [{**of, "sample_id": name} for name in brought.missing]
    return {"rejected_sample": rows} if rows else {}


def _rows(spec: RunSpec, brought: _Brought, start: int, stop: int) -> dict[str, Any]:
    """The activations of a range, by sample."""
    names = brought.samples[start:stop]
    order = sorted((name, at) for at, name in enumerate(names) if name is not None)
    if not order:
        return {}
    places = np.array([at for _, at in order])
    found = read_rows(brought.manifest, start, stop)
    vectors = {cell: values[places] for cell, values in found.items()}
    table = activation_table(*_pair(spec), [name for name, _ in order], vectors)
    return {"activation": table}
