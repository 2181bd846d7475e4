"""Self-test trials held against what was injected."""

import pytest

NAMES = {"model_id": "m", "dataset_id": "d"}


def trial(number, said, pooled="healthy", stages=None, cost=0.0, **more):
    stages = stages or []
    fault = "+".join(f"swap@{stage}:0.5" for stage in stages) or None
    kind = ("healthy", "destroying", "pair")[min(len(stages), 2)]
    one = len(stages) == 1
    row = {
        **NAMES,
        "trial_id": f"t{number}",
        "seed": number,
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
    trial(8, "vision_quality", "healthy", ["vision", "llm"], 0.3, present_stages="vision+llm",
          first_cost=0.2, second_cost=0.2),
    trial(9, "vision_quality", "healthy", ["vision", "llm"], 0.28, present_stages="vision",
          first_cost=0.2, second_cost=0.2),
    trial(10, "semantic_mapping", "healthy", ["llm", "answer"], 0.5, present_stages="answer",
          first_cost=0.04, second_cost=0.46),
]  # fmt: skip


@pytest.fixture
def con(catalogue):
    return catalogue({"fault_trial": TRIALS})


@pytest.mark.exact_rows("fault_outcome")
def test_each_reading_is_held_against_the_struck_stages(con):
    columns = "is_named, is_found, is_false_alarm, is_costly, is_within"
    order = "length(trial_id), trial_id"
    query = f"SELECT {columns} FROM fault_outcome WHERE reading = $1 ORDER BY {order}"
    assert con.sql(query, params=["diagnosis"]).fetchall() == [
        (False, None, False, False, None),
        (False, None, True, False, None),
        (True, True, False, True, True),
        (False, False, False, True, False),
        (False, False, False, False, None),
        (True, True, False, True, None),
        (True, False, False, True, None),
        (True, False, False, False, None),
        (True, True, False, True, None),
        (True, False, False, False, None),
        (True, False, False, False, None),
    ]
    assert [row[:3] for row in con.sql(query, params=["mean_pooled"]).fetchall()[:4]] == [
        (False, None, True),
        (False, None, False),
        (False, None, False),
        (False, None, False),
    ]


def test_the_newest_trial_of_a_fault_and_seed_counts(catalogue):
    old = {**TRIALS[2], "run_id": "r2", "trial_id": "z", "verdict": "healthy"}
    runs = [{"run_id": "r1", "started_at": 2}, {"run_id": "r2", "started_at": 1}]
    con = catalogue({"fault_trial": [{**TRIALS[2], "run_id": "r1"}, old], "run": runs})
    query = "SELECT verdict FROM fault_outcome WHERE reading = 'diagnosis'"
    assert con.sql(query).fetchall() == [("vision_quality",)]


def test_trials_of_older_versions_are_read_too(catalogue):
    old = {**TRIALS[2], "trial_kind": None, "stages": None, "present_stages": None}
    con = catalogue({"fault_trial": [old]})
    query = "SELECT trial_kind, is_named FROM fault_outcome WHERE reading = 'diagnosis'"
    assert con.sql(query).fetchall() == [("destroying", True)]


@pytest.mark.exact_rows("self_test_summary")
def test_the_summary_counts_costly_trials_only(con):
    rows = con.sql("SELECT * EXCLUDE (model_id, dataset_id) FROM self_test_summary ORDER BY ALL")
    assert rows.fetchall() == [
        ("diagnosis", 11, 2, 0.5, 2, 0.5, 2, 0.5, 3, pytest.approx(2 / 3)),
        ("mean_pooled", 11, 2, 0.0, 2, 0.5, 0, None, 3, None),
    ]


@pytest.mark.exact_rows("fault_confusion")
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
        ("vision+llm", "vision_quality", 2),
    ]


@pytest.mark.exact_rows("fault_pair")
def test_pairs_are_counted_by_what_the_cheaper_fault_takes(con):
    query = "SELECT stages, cost_band, is_costly, n_trials, n_found FROM fault_pair ORDER BY ALL"
    assert con.sql(query).fetchall() == [
        ("llm+answer", "under 5 points", False, 1, 0),
        ("vision+llm", "10 points and more", True, 3, 2),
        ("vision+llm", "5 to 10 points", False, 2, 0),
    ]


def test_a_fault_is_detectable_where_every_seed_names_it(con):
    query = (
        "SELECT stage, n_trials, n_named, n_found, is_detectable FROM fault_detection ORDER BY ALL"
    )
    assert con.sql(query).fetchall() == [("llm", 1, 0, 0, False), ("vision", 2, 1, 1, False)]


@pytest.mark.exact_rows("fault_detection")
def test_a_fault_is_reliable_from_the_severity_above_which_none_is_missed(catalogue):
    """Found at 0.25, missed at 0.5, found at 0.75 and 1: known to be found from 0.75 on."""
    said = {0.25: "vision_quality", 0.5: "healthy", 0.75: "vision_quality", 1.0: "vision_quality"}
    trials = [
        trial(
            number, verdict, stages=["vision"], severity=severity, fault=f"swap@vision:{severity}"
        )
        for number, (severity, verdict) in enumerate(said.items())
    ]
    rows = catalogue({"fault_trial": trials}).sql(
        "SELECT severity, is_detectable, is_reliable FROM fault_detection ORDER BY severity"
    )
    assert rows.fetchall() == [
        (0.25, True, False),
        (0.5, False, False),
        (0.75, True, True),
        (1.0, True, True),
    ]


def test_of_equally_frequent_verdicts_the_first_by_name_is_shown(catalogue):
    one, other = (
        trial(number, verdict, stages=["vision"])
        for number, verdict in enumerate(("undetermined", "healthy"))
    )
    for trials in ([one, other], [other, one]):
        con = catalogue({"fault_trial": trials})
        assert con.sql("SELECT verdict FROM fault_detection").fetchall() == [("healthy",)]
