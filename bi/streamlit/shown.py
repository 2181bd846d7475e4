"""What the page shows, read from its elements as the browser gets them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
from streamlit.testing.v1 import AppTest

APP = Path(__file__).with_name("app.py")

TABLES = ("leaderboard", "failure_mode_intervals", "sample_explorer", "published")
CHARTS = (
    *("signal_flow_mean", "failure_modes", "feature_health"),
    *("signal_flow_last", "samples_lost", "confusion"),
)


def open_page(marts: Path) -> AppTest:
    """The page after its first run. Raises RuntimeError with the page's words where it failed."""
    os.environ["LAYERHOUSE_MARTS"] = str(marts)
    page = AppTest.from_file(str(APP), default_timeout=120).run()
    for fault in [*page.exception, *page.error]:
        raise RuntimeError(fault.value)
    return page


def rows(page: AppTest) -> dict[str, list[dict[str, Any]]]:
    """The rows behind every table and chart, by the names of their queries."""
    tables = [pa.Table.from_pandas(each.value) for each in page.dataframe]
    charts = [_chart_table(each.proto) for each in page.get("vega_lite_chart")]
    named = dict(zip((*TABLES, *CHARTS), (*tables, *charts), strict=True))
    return {name: found.to_pylist() for name, found in named.items()}


def _chart_table(proto: Any) -> pa.Table:
    (dataset,) = proto.datasets
    return pa.ipc.open_stream(dataset.data.data).read_all()
