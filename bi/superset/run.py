"""Proof that Superset shows the lake's own numbers, and the dashboard to look at.

Publishes the marts, starts a Superset of its own on loopback, imports the dashboard through its
REST API, fetches the data of every chart and holds them against what `layerhouse sql` answers on
the lake, then takes a screenshot in headless Chromium. Exits with 1 on any difference.

`make bi-superset LAKE=…` runs it in Superset's environment.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from bi import lake
from bi.superset import bundle, page, server

SLUG = "layerhouse"
CHARTS = sorted((bundle.DASHBOARD / "charts").glob("*.yaml"))


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # its server ends with it
    options = _options()
    source = lake.Lake(options.layerhouse, options.lake)
    with tempfile.TemporaryDirectory(prefix="layerhouse-superset-") as folder:
        home = Path(folder)
        marts = home / "marts.duckdb"
        source.publish(marts)
        with server.running(home) as superset:
            n_datasets = install(superset, marts)
            print(f"Superset reads {marts.name}: {n_datasets} data sets, dashboard “{SLUG}”")
            are_equal = check(superset, source)
            page.shoot(superset, SLUG, len(CHARTS), options.out)
            print(f"screenshot {options.out}")
            if options.stay:
                print(f"{superset.url}/superset/dashboard/{SLUG}/ as {server.USER}, password")
                input(f"{superset.password}; Enter stops the server. ")
    return 0 if are_equal else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Show the marts in Superset, and check them.")
    parser.add_argument("--lake", default="lakehouse", help="the lake's folder")
    parser.add_argument("--layerhouse", default="layerhouse", help="the command to run")
    parser.add_argument("--out", type=Path, default=Path("superset.png"), help="the screenshot")
    parser.add_argument("--stay", action="store_true", help="keep the server up until Enter")
    return parser.parse_args()


def install(superset: server.Superset, marts: Path) -> int:
    """Register database, data sets, charts and dashboard; returns the number of data sets.

    Raises RuntimeError where a data set's columns are not those that Superset finds in the file.
    """
    archive = ("layerhouse.zip", bundle.bundle(marts), "application/zip")
    superset.call("POST", "dashboard/import/", files={"formData": archive})
    found = superset.call("GET", "dataset/", params={"q": "(page_size:100)"})["result"]
    for dataset in found:
        held = _columns(superset, dataset["id"])
        superset.call("PUT", f"dataset/{dataset['id']}/refresh")
        if _columns(superset, dataset["id"]) != held:
            raise RuntimeError(f"Superset reads other columns in {dataset['table_name']}")
    return len(found)


def _columns(superset: server.Superset, dataset: int) -> list[tuple[str, bool]]:
    answer = superset.call("GET", f"dataset/{dataset}")["result"]
    return sorted((column["column_name"], column["is_dttm"]) for column in answer["columns"])


def check(superset: server.Superset, source: lake.Lake) -> bool:
    """Hold the data of every chart against the lake; returns whether all are equal."""
    shown = superset.call("GET", f"dashboard/{SLUG}/charts")["result"]
    names = {yaml.safe_load(path.read_text("utf-8"))["slice_name"]: path.stem for path in CHARTS}
    forms = {names[chart["slice_name"]]: chart["form_data"] for chart in shown}
    if set(forms) != set(names.values()):
        raise RuntimeError(f"the dashboard shows {sorted(forms)}")
    equal = [
        lake.compare(name, chart_data(superset, forms[name]), source.ask(name))
        for name in sorted(forms)
    ]
    return all(equal)


def chart_data(superset: server.Superset, form: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that a chart draws, before the browser arranges them."""
    dataset, kind = form["datasource"].split("__")
    body = {
        "datasource": {"id": int(dataset), "type": kind},
        "queries": [query(form)],
        "result_format": "json",
        "result_type": "full",
        "force": True,
    }
    return superset.call("POST", "chart/data", json=body)["result"][0]["data"]


def query(form: dict[str, Any]) -> dict[str, Any]:
    """What the settings of a chart ask the database for."""
    if form.get("query_mode") == "raw":
        fields = {
            "columns": form["all_columns"],
            "orderby": [json.loads(order) for order in form["order_by_cols"]],
        }
    else:
        groups = form["groupby"] if isinstance(form["groupby"], list) else [form["groupby"]]
        metrics = form["metrics"] if "metrics" in form else [form["metric"]]
        fields = {"columns": [form["x_axis"], *groups], "metrics": metrics}
    filters = [
        {"col": each["subject"], "op": each["operator"], "val": each["comparator"]}
        for each in form.get("adhoc_filters", [])
    ]
    return {**fields, "filters": filters, "row_limit": form["row_limit"]}


if __name__ == "__main__":
    sys.exit(main())
