"""What stands in the way of a verdict, one row per model and dataset."""

import json

import pytest

from tests.sql.worlds import NAMES, ended, interval, world

PROBES = {
    ("vision", 1, "grid"): (9, 18),
    ("connector", 0, "grid"): (8, 16),
    ("llm", 1, "last"): (7, 14),
}
POINTS = {"vision": 0.0, "connector": 0.1, "llm": 0.1, "answer": 0.05, "total": 0.25}
BASELINE = {("svm", 0): (9, 18)}
NO_BASELINE = (
    "no baseline, so the reference is the accuracy after vision: `layerhouse baseline --dataset d "
    "--architecture texture-svm` adds one"
)
MORE_GROUPS = (
    "test groups where intervals need 20: register more labelled images with "
    "`layerhouse datasets add`"
)


def obstacles(catalogue, groups=20, baselines=BASELINE, points=POINTS, **more):
    rows = world(PROBES, {"likelihood": (6, 13)}, baselines, n_groups=groups)
    rows["stage_interval"] = [interval(stage, at, at, at, **more) for stage, at in points.items()]
    con = catalogue(rows)
    return con.sql("SELECT * FROM verdict_obstacle").fetchall()


def test_nothing_stands_in_the_way_of_what_is_complete(catalogue):
    assert obstacles(catalogue) == [("m", "d", None, None)]


def test_a_missing_baseline_is_a_note_and_no_obstacle(catalogue):
    assert obstacles(catalogue, baselines={}) == [("m", "d", None, NO_BASELINE)]


@pytest.mark.parametrize(("in_split", "resampled"), [(19, 20), (20, 19)])
def test_twenty_test_groups_are_enough_and_nineteen_are_not(catalogue, in_split, resampled):
    few = f"only 19 {MORE_GROUPS}"
    assert obstacles(catalogue, groups=in_split, n_groups=resampled) == [("m", "d", few, None)]
    assert obstacles(catalogue, groups=20, n_groups=20) == [("m", "d", None, None)]


@pytest.mark.exact_rows("one_each_fold")
def test_a_repair_by_folds_is_sent_to_no_probe(catalogue):
    compare = (
        "it is one model for each fold, of whose stages nothing can be told: `layerhouse compare` "
        "holds its answers against those of the model without it"
    )
    probe = "no probes stored: run `layerhouse probe --model m --dataset d`"
    for adapter, wanted in (("folds:0a1b", compare), ("0a1b", probe), (None, probe)):
        rows = world({}, {"likelihood": (6, 13)}, BASELINE, n_groups=20)
        told = json.dumps({"identity": {"model": {"adapter": adapter}}})
        rows["run"] = [{"run_id": "r", "command": "extract", **NAMES, "config": told}]
        con = catalogue(rows)
        found = con.sql("SELECT * FROM one_each_fold").fetchall()
        assert found == ([("m", "d", compare)] if wanted == compare else [])
        ((obstacle,),) = con.sql("SELECT obstacle FROM verdict_obstacle").fetchall()
        assert obstacle == wanted


def test_one_missing_interval_is_missing_intervals(catalogue):
    points = {stage: point for stage, point in POINTS.items() if stage != "total"}
    needed = "no intervals: run `layerhouse diagnose --model m --dataset d`"
    assert obstacles(catalogue, points=points) == [("m", "d", needed, None)]


@pytest.mark.parametrize(
    ("method", "asked", "then"),
    [
        ("sampled:8x0.7", " --samples 8 --temperature 0.7", ""),
        (
            "judged:qwen",
            "",
            ", then `layerhouse answers reparse --model m --dataset d --judge qwen`",
        ),
    ],
)
def test_what_was_cut_of_other_replies_has_the_command_that_brings_them(
    catalogue, method, asked, then
):
    rows = ended(world(PROBES, {"generate": (6, 13)}, BASELINE), cut=range(13))
    rows["stage_interval"] = [interval(stage, at, at, at) for stage, at in POINTS.items()]
    rows["answer"] = [row | {"method": method} for row in rows["answer"]]
    ((told,),) = catalogue(rows).sql("SELECT obstacle FROM verdict_obstacle").fetchall()
    command = f"`layerhouse extract --model m --dataset d{asked} --max-new-tokens 160`"
    assert told.endswith(f"after 20 tokens: run {command}{then}")


@pytest.mark.exact_rows("truncation_effect")
@pytest.mark.parametrize(
    ("n_cut", "is_in_the_way"),
    [(0, False), (1, True), pytest.param(13, True, marks=pytest.mark.slow)],
)
def test_replies_that_were_cut_leave_the_verdict_open(catalogue, n_cut, is_in_the_way):
    rows = world(PROBES, {"generate": (6, 13)}, BASELINE)
    rows["stage_interval"] = [interval(stage, at, at, at) for stage, at in POINTS.items()]
    con = catalogue(ended(rows, cut=range(n_cut)))
    needed = (
        f"the model was cut short: {5 * n_cut}% of its replies were truncated after 20 tokens: run "
        "`layerhouse extract --model m --dataset d --max-new-tokens 160`"
    )
    obstacle = needed if is_in_the_way else None
    share = n_cut / 20
    assert con.sql("SELECT * FROM truncation_effect").fetchall() == [("m", "d", share, obstacle)]
    assert con.sql("SELECT * FROM verdict_obstacle").fetchall() == [("m", "d", obstacle, None)]


@pytest.mark.exact_rows("verdict_obstacle")
def test_what_is_missing_is_listed_and_hides_the_intervals_made_of_it(catalogue):
    con = catalogue(world({("llm", 1, "last"): (7, 14)}, n_groups=12))
    extract = "layerhouse extract --model m --dataset d"
    needed = (
        f"no answers stored: run `{extract}`; no probe at the end of vision, connector: run "
        f"`{extract}`, then `layerhouse probe --model m --dataset d`; only 12 {MORE_GROUPS}"
    )
    rows = con.sql("SELECT * FROM verdict_obstacle").fetchall()
    assert rows == [("m", "d", needed, NO_BASELINE)]


@pytest.mark.exact_rows("brought_states", "verdict_obstacle")
def test_of_states_that_were_brought_nothing_is_run(catalogue):
    rows = world({("llm", 1, "last"): (7, 14)}, {}, BASELINE, n_groups=20)
    rows["run"] = [{"run_id": "import-0", "command": "import", "model_id": "m", "dataset_id": "d"}]
    con = catalogue(rows)
    answers = (
        "no answers stored: bring them with `layerhouse answers import FILE --model m --dataset d`"
    )
    way_out = (
        ", whose states were not brought: `layerhouse import` takes a folder that holds them too "
        "under another name"
    )
    assert con.sql("SELECT * FROM brought_states").fetchall() == [("m", "d", answers, way_out)]
    needed = f"{answers}; no probe at the end of vision, connector{way_out}"
    assert con.sql("SELECT * FROM verdict_obstacle").fetchall() == [("m", "d", needed, None)]
    use_and_cure = con.sql("SELECT DISTINCT use, cure FROM evidence_way").fetchall()
    assert use_and_cure == [
        ("the states of this model were brought from elsewhere, and it is not run here",) * 2
    ]
