"""The published marts as a page to look through: `streamlit run bi/streamlit/app.py`.

LAYERHOUSE_MARTS names the DuckDB file that `layerhouse publish` wrote; it is opened read-only, and
a newer publication shows at the next click.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import altair as alt
import duckdb
import pandas as pd
import streamlit as st

QUERIES = Path(__file__).parent / "queries"
MARTS = Path(os.environ.get("LAYERHOUSE_MARTS", "published/marts.duckdb"))

STAGES = {"vision": "#1fa8c9", "connector": "#fcc700", "llm": "#5ac189", "answer": "#e04355"}
MODES = dict(
    zip(
        ("vision_quality", "connector_fidelity", "llm_comprehension", "semantic_mapping"),
        STAGES.values(),
        strict=True,
    )
)
OUTCOMES = {
    "answered rightly": "#d8dee9",
    **{f"lost at {stage}": colour for stage, colour in STAGES.items()},
    "unknown": "#999999",
}
ACCURACY = st.column_config.NumberColumn(format="%.3f")


def main() -> None:
    st.set_page_config(page_title="Layerhouse", layout="wide")
    st.title("Where the class signal gets lost")
    if not MARTS.is_file():
        st.error(f"There is no {MARTS}: run `layerhouse publish --out {MARTS}` first.")
        return
    known = ask("choices", {})
    with st.sidebar:
        chosen = {
            "datasets": st.multiselect("Datasets", known["dataset_id"].unique(), key="datasets"),
            "models": st.multiselect("Models", known["model_id"].unique(), key="models"),
        }
        st.caption("None chosen shows all.")
    show(chosen)


def show(chosen: dict[str, list[str]]) -> None:
    st.subheader("Leaderboard")
    table(ask("leaderboard", chosen))
    left, right = st.columns(2)
    with left:
        lines("Signal flow: image tokens, averaged", flow("mean", chosen))
        bars("Where accuracy is lost", ask("failure_modes", chosen), MODES)
        squares("Feature health scores", ask("feature_health", chosen), "greens", ".2f")
    with right:
        lines("Signal flow: final input token", flow("last", chosen))
        bars("Samples by the stage that lost them", ask("samples_lost", chosen), OUTCOMES)
        squares("Wrong answers: class by what was named", ask("confusion", chosen), "oranges", "d")
    st.subheader("Failure modes with intervals")
    table(ask("failure_mode_intervals", chosen))
    st.subheader("Sample explorer")
    table(ask("sample_explorer", chosen))
    st.subheader("Published")
    table(ask("published", {}))


def flow(readout: str, chosen: dict[str, list[str]]) -> pd.DataFrame:
    """Accuracy at every locus on the path, read through one readout."""
    return ask("signal_flow", {**chosen, "readout": readout})


def ask(name: str, chosen: dict[str, Any]) -> pd.DataFrame:
    """The rows of queries/`name`.sql; equal questions to the same file are asked once."""
    return _ask(name, chosen, str(MARTS), MARTS.stat().st_mtime_ns)


@st.cache_data(max_entries=200)
def _ask(
    name: str,
    chosen: dict[str, Any],
    marts: str,
    written: int,  # noqa: ARG001, it tells the cache a newer file from an older one
) -> pd.DataFrame:
    with duckdb.connect(marts, read_only=True) as con:
        return con.execute((QUERIES / f"{name}.sql").read_text("utf-8"), chosen).df()


def table(frame: pd.DataFrame) -> None:
    floats = frame.select_dtypes("float").columns
    st.dataframe(frame, hide_index=True, column_config=dict.fromkeys(floats, ACCURACY))


def lines(title: str, frame: pd.DataFrame) -> None:
    """Accuracy along the pipeline, one line per model; frame: model_id, locus, test_accuracy."""
    chart = alt.Chart(frame, title=title, height=560).mark_line(point=True)
    st.altair_chart(
        chart.encode(
            x=alt.X(
                "locus",
                title=None,
                sort="ascending",
                axis=alt.Axis(labelAngle=-45, labelOverlap=False),
            ),
            y=alt.Y("test_accuracy", scale=alt.Scale(domain=(0, 1))),
            color=alt.Color("model_id", legend=_below(columns=1)),
            tooltip=list(frame.columns),
        )
    )


def bars(title: str, frame: pd.DataFrame, colours: dict[str, str]) -> None:
    """Stacked bars per model; frame: model_id, the kind of part, its size."""
    _, part, size = frame.columns
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    chart = alt.Chart(frame, title=title, height=380).mark_bar()
    st.altair_chart(
        chart.encode(
            x=alt.X(size),
            y=alt.Y("model_id", title=None, axis=alt.Axis(labelLimit=300, labelOverlap=False)),
            color=alt.Color(part, scale=scale, legend=_below()),
            tooltip=list(frame.columns),
        )
    )


def squares(title: str, frame: pd.DataFrame, scheme: str, form: str) -> None:
    """A heat map; frame: its rows, its columns, its values."""
    row, column, value = frame.columns
    base = alt.Chart(frame, title=title, height=420).encode(
        x=alt.X(column, title=None, axis=alt.Axis(labelAngle=-30, labelOverlap=False)),
        y=alt.Y(row, title=None, axis=alt.Axis(labelLimit=300, labelOverlap=False)),
        tooltip=list(frame.columns),
    )
    fill = base.mark_rect().encode(
        color=alt.Color(value, legend=None, scale=alt.Scale(scheme=scheme))
    )
    middle = (frame[value].min() + frame[value].max()) / 2
    ink = alt.condition(alt.datum[value] > middle, alt.value("white"), alt.value("black"))
    text = base.mark_text().encode(text=alt.Text(value, format=form), color=ink)
    st.altair_chart(fill + text)


def _below(columns: int = 2) -> alt.Legend:
    return alt.Legend(orient="bottom", columns=columns, labelLimit=400, title=None)


main()
