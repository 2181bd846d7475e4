"""The demo is the product in small: its verdicts must name the faults that were injected."""

from __future__ import annotations

import re

import pytest

from layerhouse.cli import main
from layerhouse.demo import FAULTS, MODEL
from tests.conftest import SHORT_FAULTS, Demo, layerhouse
from warehouse.catalogue import refreshing as catalogue

STAGE_OF = {
    None: "healthy",
    "swap@vision:0.5": "vision_quality",
    "swap@connector:0.5": "connector_fidelity",
    "swap@llm.2:0.5": "llm_comprehension",
    "head@answer:0.5": "semantic_mapping",
}


def _verdicts(demo: Demo, fault: str | None) -> list[tuple[str]]:
    model_id = f"{MODEL}+fault:{fault}" if fault else MODEL
    with catalogue.connect(demo.lake) as warehouse:
        return warehouse.sql(
            "SELECT DISTINCT verdict FROM failure_mode WHERE model_id = ?", [model_id]
        ).fetchall()


@pytest.mark.parametrize("fault", SHORT_FAULTS, ids=str)
def test_the_verdict_names_the_injected_stage(demo: Demo, fault: str | None) -> None:
    assert _verdicts(demo, fault) == [(STAGE_OF[fault],)]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_every_verdict_names_the_injected_stage(whole_demo: Demo, fault: str | None) -> None:
    assert _verdicts(whole_demo, fault) == [(STAGE_OF[fault],)]


def test_losses_of_every_model_add_up_to_reference_minus_answer(demo: Demo) -> None:
    with catalogue.connect(demo.lake) as warehouse:
        gaps = warehouse.sql(
            """
            SELECT model_id, abs(sum(loss) - (max(before) FILTER (WHERE stage = 'vision')
                                              - max("after") FILTER (WHERE stage = 'answer')))
            FROM stage_loss GROUP BY ALL
            """
        ).fetchall()
    assert len(gaps) == len(SHORT_FAULTS)
    assert all(gap < 1e-9 for _, gap in gaps)


def test_the_demo_prints_one_line_per_model_and_where_the_report_lies(demo: Demo) -> None:
    for fault in SHORT_FAULTS:
        line = next(
            row for row in demo.printed.splitlines() if row.startswith(f"{fault or 'none'} ")
        )
        assert STAGE_OF[fault] in line
    assert "report.html" in demo.printed


def test_the_report_is_one_file_without_links_to_a_network(demo: Demo) -> None:
    page = demo.report.read_text(encoding="utf-8")
    loads = re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?\s*(?:https?:)?//[^\s\"')>]+", page)
    assert loads == []
    assert "<script src" not in page
    assert page.count('<img src="data:image/png;base64,') > len(SHORT_FAULTS)
    for fault in SHORT_FAULTS:
        assert (f"{MODEL}+fault:{fault}" if fault else MODEL) in page


@pytest.mark.parametrize(
    "arguments",
    [
        ("extract", "--model", MODEL, "--dataset", "digits"),
        ("probe", "--model", MODEL, "--dataset", "digits", "--seeds", "1"),
        ("baseline", "--dataset", "digits", "--architecture", "pixels-logistic"),
        ("diagnose", "--model", MODEL, "--dataset", "digits"),
        ("datasets", "add", "digits", "digits"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_run_again_changes_nothing_and_says_so(
    demo: Demo,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    before = _files(demo)
    monkeypatch.chdir(demo.lake.root.parent)
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--lake", str(demo.lake.root)])
    said = capsys.readouterr()
    assert ended.value.code == 0, said.err
    assert "Nothing to do" in said.out
    assert _files(demo) == before


def _files(demo: Demo) -> dict[str, tuple[int, int]]:
    found = {}
    for path in demo.lake.root.rglob("*"):
        if path.is_file() and path.name not in ("catalog.duckdb", "lock"):
            facts = path.stat()
            found[str(path.relative_to(demo.lake.root))] = (facts.st_size, facts.st_mtime_ns)
    return found


@pytest.mark.slow
def test_the_lake_of_the_demo_passes_validation(whole_demo: Demo) -> None:
    lake = whole_demo.lake.root
    done = layerhouse("validate", "--lake", str(lake), cwd=lake.parent)
    assert done.code == 0, done.out + done.err
