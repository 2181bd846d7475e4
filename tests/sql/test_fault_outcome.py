"""Self-test trials held against what was injected."""

import pytest

NAMES = {"model_id": "m", "dataset_id": "d", "seed": 0}


def trial(number, said, pooled="healthy", stages=None, cost=0.0, **more):
    stages = stages or []
    fault = "+".join(f"swap@{stage}:0.5" for stage in stages) or None
    kind = ("healthy", "destroying", "pair")[min(len(stages), 2)]
    one = len(stages) == 1
    row = {
        **NAMES,
        "trial_id": f"t{number}",
        "fault": fault,
        "kind": "swap" if one else None,
        "stage": stages[0] if one else None,
        "severity": 0.5 if one else None,
        "destroying": bool(stages),
        "answer_cost": cost,
        "verdict": said,
        "mean_pooled_verdict": pooled,
        "trial_kind": kind,
        "stages": "+".join(stages) or None,
        "present_stages": None,
    }
    return row | more


TRIALS = [
    trial(0, "healthy", "vision_quality"),
    trial(1, "semantic_mapping"),
    trial(2, "vision_quality", "llm_comprehension", ["vision"], 0.2, present_stages="vision+llm",
          expected_loss=0.2, lower=0.1, upper=0.3),
    trial(3, "connector_fidelity", "connector_fidelity", ["vision"], 0.3,
          present_stages="connector", expected_loss=0.4, lower=0.1, upper=0.3),
    trial(4, "undetermined", "undetermined", ["llm"], 0.0999),
    trial(5, "llm_comprehension", "healthy", ["vision", "llm"], 0.5,
          present_stages="vision+llm"),
    trial(6, "vision_quality", "healthy", ["vision", "llm"], 0.5, present_stages="vision"),
    trial(7, "vision_quality", "healthy", ["vision", "llm"], 0.15, present_stages="vision"),
]  # fmt: skip


@pytest.fixture
def con(catalogue):
    return catalogue({"fault_trial": TRIALS})


def test_each_reading_is_held_against_the_struck_stages(con):
    columns = "is_named, is_found, is_false_alarm, is_costly, is_within"
    query = f"SELECT {columns} FROM fault_outcome WHERE reading = $1 ORDER BY trial_id"
    assert con.sql(query, params=["diagnosis"]).fetchall() == [
        (False, None, False, False, None),
        (False, None, True, False, None),
        (True, True, False, True, True),
        (False, False, False, True, False),
        (False, False, False, False, None),
        (True, True, False, True, None),
        (True, False, False, True, None),
        (True, False, False, False, None),
    ]
    assert [row[:3] for row in con.sql(query, params=["mean_pooled"]).fetchall()[:4]] == [
        (False, None, True),
        (False, None, False),
        (False, None, False),
        (False, None, False),
    ]


def test_trials_of_older_versions_are_read_too(catalogue):
    old = {**TRIALS[2], "trial_kind": None, "stages": None, "present_stages": None}
    con = catalogue({"fault_trial": [old]})
    query = "SELECT trial_kind, is_named FROM fault_outcome WHERE reading = 'diagnosis'"
    assert con.sql(query).fetchall() == [("destroying", True)]


def test_the_summary_counts_costly_trials_only(con):
    rows = con.sql("SELECT * EXCLUDE (model_id, dataset_id) FROM self_test_summary ORDER BY ALL")
    assert rows.fetchall() == [
        ("diagnosis", 8, 2, 0.5, 2, 0.5, 2, 0.5, 2, 0.5),
        ("mean_pooled", 8, 2, 0.0, 2, 0.5, 0, None, 2, None),
    ]


def test_the_confusion_leaves_out_what_cost_too_little(con):
    query = (
        "SELECT injected, verdict, n_trials FROM fault_confusion WHERE reading = 'diagnosis' "
        "ORDER BY ALL"
    )
    assert con.sql(query).fetchall() == [
        ("none", "healthy", 1),
        ("none", "semantic_mapping", 1),
        ("vision", "connector_fidelity", 1),
        ("vision", "vision_quality", 1),
        ("vision+llm", "llm_comprehension", 1),
        ("vision+llm", "vision_quality", 1),
    ]


def test_a_fault_is_detectable_where_every_seed_names_it(con):
    query = (
        "SELECT stage, n_trials, n_named, n_found, is_detectable FROM fault_detection ORDER BY ALL"
    )
    assert con.sql(query).fetchall() == [("llm", 1, 0, 0, False), ("vision", 2, 1, 1, False)]
