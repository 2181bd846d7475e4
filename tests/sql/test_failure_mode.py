"""The verdict, and what it says while something is missing."""

import pytest

from tests.sql.worlds import interval, world

PROBES = {
    ("vision", 1, "grid"): (9, 18),
    ("connector", 0, "grid"): (8, 16),
    ("llm", 1, "last"): (7, 14),
}
ANSWER = {"likelihood": (6, 13)}
BASELINE = {("svm", 0): (9, 18)}
STAGES = ("vision", "connector", "llm", "answer")
# reference 0.9 → vision 0.9 → connector 0.8 → llm 0.7 → answer 0.65
POINTS = {"vision": 0.0, "connector": 0.1, "llm": 0.1, "answer": 0.05, "total": 0.25}


def intervals(lower=None, upper=None, points=POINTS, reference_lower=0.8, **more):
    """Rows of `stage_interval`: bounds by stage, by default the point itself."""
    lower, upper = {**points, **(lower or {})}, {**points, **(upper or {})}
    rows = [interval(s, points[s], lower[s], upper[s], **more) for s in points]
    signal = {"quantity": "signal", **more}
    return [*rows, interval("total", 0.9, reference_lower, 0.95, **signal)]


def judge(catalogue, stage_interval=(), *, probes=PROBES, answers=ANSWER, **more):
    rows = world(probes, answers, **{"baselines": BASELINE, **more})
    con = catalogue(rows | {"stage_interval": list(stage_interval)})
    columns = "failure_mode, is_present, is_primary, verdict, reason, lower, upper"
    got = con.sql(f"SELECT {columns} FROM failure_mode ORDER BY stage_order").fetchall()
    assert [row[0] for row in got] == [
        "vision_quality",
        "connector_fidelity",
        "llm_comprehension",
        "semantic_mapping",
    ]
    assert len({row[3:5] for row in got}) == 1, "verdict and reason are those of all four rows"
    return got


def verdict(catalogue, *arguments, **more):
    return judge(catalogue, *arguments, **more)[0][3:5]


@pytest.mark.exact_rows("failure_mode")
def test_modes_whose_lower_bound_exceeds_the_margin_are_present(catalogue):
    bounds = {"vision": 0.0, "connector": 0.05, "llm": 0.03, "answer": 0.02, "total": 0.2}
    rows = world(PROBES, ANSWER, BASELINE) | {"stage_interval": intervals(bounds)}
    con = catalogue(rows)
    columns = "failure_mode, is_present, is_primary, verdict, reason, lower, upper"
    said = ("connector_fidelity", None)
    got = con.sql(f"SELECT {columns} FROM failure_mode ORDER BY stage_order").fetchall()
    assert got == [
        ("vision_quality", False, False, *said, 0.0, 0.0),
        ("connector_fidelity", True, True, *said, 0.05, 0.1),
        ("llm_comprehension", True, False, *said, 0.03, 0.1),
        ("semantic_mapping", False, False, *said, 0.02, 0.05),
    ]


def test_a_bound_that_is_a_limit_but_for_rounding_does_not_exceed_it(catalogue):
    """Bounds are differences of shares: of 50 test images they often fall on a limit."""
    margin, most = 0.90 - 0.88, 0.8 - 0.7
    assert margin > 0.02
    assert most > 0.10
    bounds = {"vision": 0.0, "connector": margin, "llm": 0.0, "answer": 0.0, "total": margin}
    got = judge(catalogue, intervals(bounds, {"total": most}))
    assert [row[1:4] for row in got] == [(False, False, "healthy")] * 4
    got = judge(catalogue, intervals(bounds | {"connector": 0.0201}))
    assert got[1][1:4] == (True, True, "connector_fidelity")


def test_the_largest_present_mode_is_primary_even_if_an_absent_one_is_larger(catalogue):
    bounds = {"connector": 0.0, "llm": 0.01, "answer": 0.03}
    got = judge(catalogue, intervals(bounds))
    assert [row[1:3] for row in got] == [(False, False)] * 3 + [(True, True)]
    assert got[0][3] == "semantic_mapping"


def test_equal_losses_go_to_the_earlier_stage(catalogue):
    got = judge(catalogue, intervals({"connector": 0.05, "llm": 0.09}))
    assert [row[2] for row in got] == [False, True, False, False]


def test_the_margin_is_the_one_the_intervals_were_made_with(catalogue):
    bounds = {"vision": 0.0, "connector": 0.05, "llm": 0.03, "answer": 0.02, "total": 0.2}
    got = judge(catalogue, intervals(bounds, margin=0.04))
    assert [row[1] for row in got] == [False, True, False, False]


NOTHING = dict.fromkeys(STAGES, 0.0)


@pytest.mark.parametrize(
    ("total", "reference_lower", "expected", "words"),
    [
        pytest.param((0.01, 0.10), 0.8, "healthy", None, id="small for certain"),
        pytest.param((0.01, 0.11), 0.8, "undetermined", "too few test images", id="maybe large"),
        pytest.param((0.03, 0.09), 0.8, "undetermined", "in any one stage", id="spread out"),
        pytest.param((0.0, 0.05), 0.5, "undetermined", "nothing to lose", id="no signal at all"),
    ],
)
def test_without_a_present_mode_the_total_decides(
    catalogue, total, reference_lower, expected, words
):
    rows = intervals(
        NOTHING | {"total": total[0]}, {"total": total[1]}, reference_lower=reference_lower
    )
    said, reason = verdict(catalogue, rows)
    assert said == expected
    assert reason is None if words is None else words in reason


def test_without_a_baseline_the_verdict_stands_with_a_note(catalogue):
    said, reason = verdict(catalogue, intervals(), baselines={})
    assert said == "connector_fidelity"
    assert reason.startswith("no baseline, so the reference is the accuracy after vision")
    assert "`layerhouse baseline --dataset d" in reason


UNDETERMINED = {
    "no answers": (
        {"answers": {}},
        "no answers stored: run `layerhouse extract --model m --dataset d`",
    ),
    "no probes": (
        {"probes": {}},
        "no probes stored: run `layerhouse probe --model m --dataset d`",
    ),
    "only the llm": (
        {"probes": {("llm", 1, "last"): (7, 14)}},
        "no probe at the end of vision, connector: run `layerhouse extract --model m --dataset d`, "
        "then `layerhouse probe --model m --dataset d`",
    ),
    "no last token": (
        {"probes": {place: PROBES[place] for place in PROBES if place[0] != "llm"}},
        "no probe at the end of llm (readout last): run `layerhouse extract --model m "
        "--dataset d`, then `layerhouse probe --model m --dataset d`",
    ),
    "answers to some": (
        {"answered": 18},
        "some stages were tested on 18 of 20 samples: run `layerhouse extract --model m "
        "--dataset d`, then `layerhouse probe --model m --dataset d`",
    ),
    "few groups": (
        {"n_groups": 12},
        "only 12 test groups where intervals need 20: register more labelled images with "
        "`layerhouse datasets add`",
    ),
}


@pytest.mark.parametrize(("change", "reason"), UNDETERMINED.values(), ids=UNDETERMINED.keys())
def test_what_is_missing_is_named_with_the_command_that_provides_it(catalogue, change, reason):
    assert verdict(catalogue, intervals(), **change) == ("undetermined", reason)


def test_a_bootstrap_over_few_groups_is_not_trusted(catalogue):
    said, reason = verdict(catalogue, intervals(n_groups=12))
    assert said == "undetermined"
    assert reason.startswith("only 12 test groups")


def test_missing_intervals_are_named(catalogue):
    assert verdict(catalogue) == (
        "undetermined",
        "no intervals: run `layerhouse diagnose --model m --dataset d`",
    )


def test_intervals_of_other_numbers_count_as_missing(catalogue):
    got = judge(catalogue, intervals(points=POINTS | {"connector": 0.12}))
    assert got[0][3:5] == (
        "undetermined",
        "the intervals are older than the probes, answers or baselines: run "
        "`layerhouse diagnose --model m --dataset d`",
    )
    assert got[1][5:] == (None, None)


@pytest.mark.parametrize(
    ("name", "variant", "options"),
    [
        ("tiny", "fault:swap@vision:0.5", "--model tiny --fault swap@vision:0.5"),
        ("tiny", "adapter:lora", "--model tiny --adapter lora"),
        ("tiny", "random:3", "--model tiny --random-weights 3"),
        ("tiny", "quantization:4bit", "--model tiny --quantization 4bit"),
        (
            "tiny",
            "adapter:lora+fault:swap@vision:0.5+fault:head@answer",
            "--model tiny --adapter lora --fault swap@vision:0.5 --fault head@answer",
        ),
    ],
)
def test_extraction_is_named_with_the_variants_own_options(catalogue, name, variant, options):
    rows = world(PROBES)
    rows["model"] = [{"model_id": "m", "name": name, "variant": variant}]
    con = catalogue(rows)
    ((reason,),) = con.sql("SELECT DISTINCT reason FROM failure_mode").fetchall()
    assert reason == f"no answers stored: run `layerhouse extract {options} --dataset d`"
