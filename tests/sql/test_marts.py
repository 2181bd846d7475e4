"""The wide tables for BI: one row per grain, flat, with real dates."""

import datetime
import shutil
from math import exp, log

import duckdb
import pytest

from tests.sql.conftest import Reader, fill
from tests.sql.worlds import NAMES, class_of, interval, world
from warehouse.catalogue.definitions import Definitions

PROBES = {
    ("vision", 0, "mean"): (5, 10),
    ("vision", 1, "mean"): (6, 12),
    ("vision", 1, "grid"): (9, 18),
    ("connector", 0, "mean"): (6, 12),
    ("connector", 0, "grid"): (8, 16),
    ("llm", 0, "last"): (6, 12),
    ("llm", 1, "last"): (7, 14),
}
GRAINS = {
    "mart_signal_flow": "model_id, dataset_id, module, layer, readout, probe_kind",
    "mart_model_health": "model_id, dataset_id, module, track",
    "mart_failure_modes": "model_id, dataset_id, failure_mode",
    "mart_evidence": "model_id, dataset_id, failure_mode",
    "mart_sample_outcomes": "model_id, dataset_id, sample_id",
    "mart_model_pairs": "model_id, base_model_id, dataset_id, stage, quantity",
    "mart_leaderboard": "model_id, dataset_id",
    "mart_prompt_sensitivity": "model_id, dataset_id, method, prompt_id, option_order",
    "mart_class_ownership": "model_id, dataset_id, direction, class_index",
    "mart_causal_flow": "model_id, dataset_id, module, layer, tokens, control",
    "mart_repairs": "model_id, dataset_id",
}


@pytest.fixture(scope="module")
def filled(empty_catalogue, tmp_path_factory):
    """A model with probes, answers, a baseline and intervals; a better one with answers only."""
    rows = world(PROBES, {"generate": (6, 13)}, {("svm", 0): (9, 18)}, unparsed=(18, 19))
    rows["answer"] += [
        row
        | {"model_id": "b", "predicted_class_index": class_of(int(row["sample_id"][-2:]))}
        | {"parsed": True}
        for row in rows["answer"]
    ]
    rows["answer"] += [row | {"prompt_id": "plain"} for row in rows["answer"]]
    rows["model"].append({"model_id": "b", "name": "b", "variant": "base", "n_parameters": 7})
    rows |= {
        "dataset": [{"dataset_id": "d", "title": "Shapes"}],
        "module": [
            {"model_id": "m", "module": module, "module_order": i}
            for i, module in enumerate(("vision", "connector", "llm"))
        ],
        "class": [
            {"dataset_id": "d", "class_index": i, "label": label}
            for i, label in enumerate(["even", "odd"])
        ],
        "stage_interval": [
            interval("connector", 0.1, 0.05, 0.15),
            interval("total", 0.25, 0.2, 0.3),
        ],
        "pair_interval": [
            {"model_id": "b", "base_model_id": "m", "dataset_id": "d", "stage": "answer"}
            | {"quantity": "signal", "point": 0.35, "lower": 0.2, "upper": 0.5}
        ],
        "health_interval": [
            {**NAMES, "module": "vision", "track": "mean", "lower": 0.1, "upper": 0.9}
            | {"point": 0.6 * (1 + log(0.6 / 0.5)) * exp(-0.2 * 0.1 / 0.6)},
            {**NAMES, "module": "llm", "track": "last", "lower": 0.1, "upper": 0.9}
            | {"point": 0.5},  # of another score than today's
        ],
        "steer_effect": [
            {**NAMES, "sample_id": "test00", "module": "llm", "layer": 1, "tokens": "last"}
            | {"direction": "means", "strength": 1.0, "random_shifts": [0.5, -0.5]}
        ],
        "patch_effect": [
            {**NAMES, "sample_id": f"test{i:02d}", "module": "llm", "layer": 1, "tokens": "last"}
            | {"control": control, "donor_model_id": "m", "target_class_index": 1}
            | {"predicted_class_index": int(i < turned), "own_class_index": 0}
            for control, turned in (("none", 3), ("noise", 1))
            for i in range(4)
        ],
        "mend": [
            {"model_id": "b", "base_model_id": "m", "dataset_id": "d", "stage": "connector"}
            | {"repair": "lora", "control": "none", "n_parameters": 5, "score": "accuracy"}
            | {"val_score_before": 0.5, "val_score": 0.75, "seconds": 2.0}
        ],
    }
    path = tmp_path_factory.mktemp("marts") / "catalogue.duckdb"
    shutil.copy(empty_catalogue, path)
    with duckdb.connect(path) as con:
        fill(con, rows)
        yield Reader(con, set())


@pytest.fixture
def con(filled, compared_views):
    """Only read: every test has the same one."""
    return Reader(filled.con, compared_views, filled.held)


@pytest.mark.parametrize(("mart", "grain"), GRAINS.items())
def test_a_mart_has_one_row_per_grain_and_is_not_empty(con, mart, grain):
    query = f"SELECT count(*), count(DISTINCT ({grain})) FROM {mart}"
    ((n, distinct),) = con.sql(query).fetchall()
    assert n == distinct > 0


@pytest.mark.parametrize("mart", GRAINS)
def test_a_mart_is_flat_and_dated(con, mart):
    relation = con.sql(f"FROM {mart}")
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    assert types["built_on"] == "DATE"
    assert set(types.values()) <= {"VARCHAR", "INTEGER", "BIGINT", "DOUBLE", "BOOLEAN", "DATE"}


def test_every_mart_has_a_test_of_its_grain():
    assert set(Definitions().marts) == set(GRAINS)


def test_a_mart_is_dated_by_its_newest_commit(catalogue):
    commits = [
        {"commit_id": str(day), "committed_at": datetime.datetime(2026, 3, day, 23, 59)}
        for day in (4, 5)
    ]
    con = catalogue(world(PROBES) | {"commit_record": commits})
    assert con.sql("SELECT DISTINCT built_on FROM mart_signal_flow").fetchall() == [
        (datetime.date(2026, 3, 5),)
    ]


def test_signal_flow_names_model_dataset_and_stage(con):
    query = (
        "SELECT model_name, variant, dataset_title, module, module_order, test_accuracy "
        "FROM mart_signal_flow WHERE readout = 'grid' ORDER BY depth"
    )
    assert con.sql(query).fetchall() == [
        ("m", "base", "Shapes", "vision", 0, 0.9),
        ("m", "base", "Shapes", "connector", 1, 0.8),
    ]


def test_model_health_carries_interval_and_answer(con):
    query = (
        "SELECT module, track, n_loci, p_start, p_end, health_lower, health_upper, "
        "answer_accuracy FROM mart_model_health ORDER BY module_order, track"
    )
    assert con.sql(query).fetchall() == [
        ("vision", "mean", 2, 0.5, 0.6, 0.1, 0.9, 0.65),
        ("connector", "mean", 2, 0.6, 0.6, None, None, 0.65),
        ("llm", "last", 2, 0.6, 0.7, None, None, 0.65),
    ]


def test_failure_modes_carry_what_was_there_before_and_after(con):
    query = (
        "SELECT failure_mode, stage, round(accuracy_before, 9), round(accuracy_after, 9), "
        "round(loss, 9), reference_source, verdict FROM mart_failure_modes "
        "WHERE model_id = 'm' ORDER BY stage_order"
    )
    assert con.sql(query).fetchall() == [
        ("vision_quality", "vision", 0.9, 0.9, 0.0, "vision", "undetermined"),
        ("connector_fidelity", "connector", 0.9, 0.8, 0.1, "vision", "undetermined"),
        ("llm_comprehension", "llm", 0.8, 0.7, 0.1, "vision", "undetermined"),
        ("semantic_mapping", "answer", 0.7, 0.65, 0.05, "vision", "undetermined"),
    ]
    deprecated = "signal_before = accuracy_before AND signal_after = accuracy_after"
    where = "WHERE model_id = 'm'"
    query = f"SELECT bool_and({deprecated}) FROM mart_failure_modes {where}"
    assert con.sql(query).fetchall() == [(True,)]


def test_the_causal_flow_names_model_dataset_and_stage(con):
    query = (
        "SELECT model_name, variant, dataset_title, depth, module, module_order, layer, tokens, "
        "control, n, turned_share, turned_lower < 0.75 AND turned_upper > 0.75, control_share, "
        "control_n "
        "FROM mart_causal_flow ORDER BY control"
    )
    place = ("m", "base", "Shapes", 5, "llm", 2, 1, "last")
    assert con.sql(query).fetchall() == [
        (*place, "noise", 4, 0.25, False, 0.25, 4),
        (*place, "none", 4, 0.75, True, 0.25, 4),
    ]


def test_repairs_carry_what_they_cost_and_bring(con):
    query = (
        "SELECT model_name, base_model_id, dataset_title, stage, stage_order, repair, "
        "n_parameters, seconds, answered_before, answered_after, round(gain, 9), gain_lower, "
        "round(val_gain, 9), is_advised FROM mart_repairs"
    )
    what = ("b", "m", "Shapes", "connector", 1, "lora", 5, 2.0)
    assert con.sql(query).fetchall() == [(*what, 0.65, 1.0, 0.35, None, 0.4, True)]


def test_the_leaderboard_says_what_to_know_of_its_numbers(con):
    query = (
        "SELECT total_loss_lower, total_loss_upper, best_baseline, baseline_accuracy, "
        "random_accuracy, is_untrained, is_fitted_otherwise, n_left_out FROM mart_leaderboard "
        "ORDER BY model_id DESC"
    )
    assert con.sql(query).fetchall() == [
        (0.2, 0.3, "svm", 0.9, None, False, False, 0),
        (None, None, "svm", 0.9, None, False, None, 0),
    ]


def test_sample_outcomes_say_where_the_class_was_lost(con):
    """Right on the first 18, 16, 14 and 13 of 20 test samples; the last two replies are silent."""
    query = (
        "SELECT sample_id, label, predicted_label, answer_parsed, vision_knows, connector_knows, "
        "llm_knows, answer_knows, lost_at FROM mart_sample_outcomes WHERE model_id = 'm' "
        "ORDER BY sample_id"
    )
    rows = con.sql(query).fetchall()
    assert len(rows) == 20
    assert rows[12] == ("test12", "even", "even", True, True, True, True, True, None)
    assert rows[13] == ("test13", "odd", "even", True, True, True, True, False, "answer")
    assert rows[14] == ("test14", "even", "odd", True, True, True, False, False, "llm")
    assert rows[16] == ("test16", "even", "odd", True, True, False, False, False, "connector")
    assert rows[18] == ("test18", "even", None, False, False, False, False, False, "vision")


def test_the_leaderboard_ranks_by_answer_accuracy(con):
    query = (
        "SELECT leaderboard_rank, model_id, answer_method, answer_accuracy, unparsed_share, "
        "vision_accuracy, llm_accuracy, round(total_loss, 9), verdict FROM mart_leaderboard "
        "ORDER BY leaderboard_rank"
    )
    assert con.sql(query).fetchall() == [
        (1, "b", "generate", 1.0, 0.0, None, None, None, "undetermined"),
        (2, "m", "generate", 0.65, 0.1, 0.9, 0.7, 0.25, "undetermined"),
    ]


def ranked(catalogue, rows):
    con = catalogue(rows)
    return con.sql(
        "SELECT round(total_loss, 9), round(retained_signal, 9), signal_rank, "
        "round(overall_health, 9), health_rank FROM mart_leaderboard ORDER BY model_id"
    ).fetchall()


def test_a_total_without_one_of_its_losses_is_unknown(catalogue):
    """No probe at the llm's end and no answer: vision and connector lose something all the same."""
    probes = {key: score for key, score in PROBES.items() if key[0] != "llm"}
    assert ranked(catalogue, world(probes, baselines={("svm", 0): (10, 20)})) == [
        (None, None, None, None, None)
    ]


def test_the_retained_signal_is_what_reaches_the_last_token_above_chance(catalogue):
    """Chance 0.5, reference 0.9, 0.7 at the last token: half of what the task allows."""
    ((loss, retained, rank, *_),) = ranked(catalogue, world(PROBES, {"generate": (6, 13)}))
    assert (loss, retained, rank) == (0.25, 0.5, 1)


def of_model(model_id, rows, left_out):
    """The rows of one world as another model's, which knows nothing of one sample."""
    named = ("model", "layer", "probe", "probe_logit", "answer")
    found = {}
    for table in named:
        found[table] = [dict(row) for row in rows[table] if row.get("sample_id") != left_out]
        for row in found[table]:
            if "model_id" in row:
                row["model_id"] = model_id
            if "probe_id" in row:
                row["probe_id"] = f"{model_id}-{row['probe_id']}"
    return found


@pytest.mark.exact_rows("probed_samples")
def test_models_that_were_probed_on_other_samples_have_no_rank_among_the_others(catalogue):
    """As many test samples each, but not the same: each run rejected another image."""
    whole = world(PROBES, {"generate": (6, 13)})
    lacking = {"a": "test01", "b": "test01", "m": "test00"}
    parts = [of_model(model_id, whole, name) for model_id, name in lacking.items()]
    rows = whole | {table: [row for part in parts for row in part[table]] for table in parts[0]}
    query = "SELECT model_id, signal_rank FROM mart_leaderboard ORDER BY model_id"
    con = catalogue(rows)
    assert con.sql(query).fetchall() == [("a", 1), ("b", 1), ("m", None)]
    ((n_test,),) = con.sql(
        "SELECT count(*) - 1 FROM sample WHERE split = 'test'"  # each run rejected one
    ).fetchall()
    assert con.sql("FROM probed_samples ORDER BY model_id").fetchall() == [
        ("a", "d", n_test, True),
        ("b", "d", n_test, True),
        ("m", "d", n_test, False),
    ]


def test_models_are_ranked_by_each_number_on_its_own(catalogue):
    """`a` answers worse than `m` but is healthier and keeps more; `c` lacks what it takes."""
    complete = {**PROBES, ("llm", 0, "mean"): (7, 14), ("llm", 1, "mean"): (7, 14)}
    rows = world(complete, {"generate": (6, 13)})
    better = {key: (val, 18) for key, (val, _) in complete.items()}
    for model_id, probes, answers in (("a", better, (6, 12)), ("c", {}, (6, 11))):
        other = world(probes, {"generate": answers})
        for table in ("model", "layer", "probe", "answer"):
            for row in other[table]:
                named = {"probe_id": f"{model_id}-{row['probe_id']}"} if table == "probe" else {}
                rows[table].append({**row, "model_id": model_id, **named})
        rows["probe_logit"] += [
            {**row, "probe_id": f"{model_id}-{row['probe_id']}"} for row in other["probe_logit"]
        ]
    con = catalogue(rows)
    query = (
        "SELECT model_id, leaderboard_rank, signal_rank, health_rank, "
        "overall_health = (vision_health + connector_health + llm_comprehension_health "
        "+ llm_utilisation_health) / 4 FROM mart_leaderboard ORDER BY model_id"
    )
    assert con.sql(query).fetchall() == [
        ("a", 2, 1, 1, True),
        ("c", 3, None, None, None),
        ("m", 1, 2, 2, True),
    ]
