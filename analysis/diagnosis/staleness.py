"""When intervals are made anew: runs are named after what they rest on and what they replace."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from shlex import quote
from typing import Any

from analysis.diagnosis.evidence import QUERIES
from analysis.queries import read_query
from warehouse.catalogue import Catalogue, Warehouse
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake, RunSpec, RunWriter
from warehouse.variants import making

Tables = dict[str, list[dict[str, Any]]]


def inputs_fingerprint(wh: Warehouse, model_id: str, dataset_id: str) -> str:
    """A hash that changes with every probe, answer and baseline the intervals rest on.

    Raises LayerhouseError if the lake holds neither probes nor answers of the model.
    """
    names = {"model": model_id, "dataset": dataset_id}
    inputs = wh.sql(read_query(QUERIES, "inputs"), names).fetchall()
    if not any(source in ("probe", "answer") for source, *_ in inputs):
        raise LayerhouseError(
            f"the lake holds neither probes nor answers of {model_id} on {dataset_id}; "
            f"{_way_out(wh, model_id, dataset_id)}"
        )
    return blake2b(json.dumps(inputs).encode(), digest_size=8).hexdigest()


def _way_out(wh: Catalogue, model_id: str, dataset_id: str) -> str:
    """The commands that make what a verdict is read from of what is there."""
    names = {"model": model_id, "dataset": dataset_id}
    pair = f"--model {quote(model_id)} --dataset {quote(dataset_id)}"
    ((is_brought, has_vectors),) = wh.sql(read_query(QUERIES, "states"), names).fetchall()
    probed = f"run `layerhouse probe {pair}`"
    if is_brought:
        return (
            f"its states were brought, and it is not run here: {probed}, and bring its answers "
            f"with `layerhouse answers import FILE {pair}`"
        )
    if has_vectors:
        return probed
    return (
        f"run `layerhouse extract {making(model_id, dataset_id)}`, then `layerhouse probe {pair}`"
    )


def renewed(
    wanted: Mapping[str, Any], latest: Sequence[tuple[str, str]], *, is_outdated: bool = False
) -> dict[str, Any]:
    """The configuration of a run that gives what is wanted, where `latest` is (run_id, config).

    It names the run it replaces, which lets one command be run with other options and then with
    the first ones again: each time the newest run's intervals win. If they are what is asked for
    already, that run's own configuration comes back, unless it `is_outdated`: of numbers that are
    defined otherwise by now.
    """
    if not latest:
        return {**wanted, "replaces": None}
    run_id, config = latest[0][0], json.loads(latest[0][1])
    if not is_outdated and {**config, "replaces": None} == {**wanted, "replaces": None}:
        return dict(config)
    return {**wanted, "replaces": run_id}


def store_intervals(
    lake: Lake, spec: RunSpec, looked: frozenset[str], compute: Callable[[], Tables | None]
) -> tuple[str | None, bool]:
    """Write the intervals unless the lake has them; the run's id, and whether rows were added.

    `looked` are the commits that the lake had before; `compute` gives the rows of each table. Where
    it gives None, there is nothing to resample, and no run; where it gives no rows, the run is
    finished without any.
    """
    with RunWriter(lake, spec, looked) as writer:
        if writer.is_done:
            writer.finish()
            return spec.run_id, False
        tables = compute()
        if tables is None:
            return None, False
        filled = {name: rows for name, rows in tables.items() if rows}
        if filled:
            writer.commit(filled)
        writer.finish()
    return spec.run_id, bool(filled)
