"""Scores of probes, answers and baselines, against counts done by hand and by slow Python."""

from collections import Counter

import duckdb
import pytest
from hypothesis import given, settings, strategies as st

from warehouse.catalogue.definitions import Definitions

COLUMNS = "n, accuracy, balanced_accuracy, macro_f1, chance, signal"


def samples(classes, split="test"):
    return [
        {"dataset_id": "d", "sample_id": f"{split}{i}", "class_index": c, "split": split}
        for i, c in enumerate(classes)
    ]


def answers(predicted, split="test", method="generate", model_id="m"):
    return [
        {
            "model_id": model_id,
            "dataset_id": "d",
            "sample_id": f"{split}{i}",
            "method": method,
            "predicted_class_index": c,
            "parsed": c is not None,
        }
        for i, c in enumerate(predicted)
    ]


def test_scores_of_a_hand_counted_case(catalogue):
    """True 0 0 0 1 1 2, answered 0 0 1 1 0 1: class 2 is never named and never right."""
    con = catalogue({"sample": samples([0, 0, 0, 1, 1, 2]), "answer": answers([0, 0, 1, 1, 0, 1])})
    (row,) = con.sql(f"SELECT {COLUMNS}, unparsed_share FROM answer_accuracy").fetchall()
    recalls = (2 / 3 + 1 / 2 + 0) / 3
    f1 = (2 * 2 / (3 + 3) + 2 * 1 / (2 + 3) + 0) / 3
    assert row == (6, 0.5, pytest.approx(recalls), pytest.approx(f1), 0.5, 0.0, 0.0)


@pytest.mark.exact_rows("prediction_score")
def test_every_scored_thing_has_its_own_row(catalogue):
    """Of four samples of class 0 and one of class 1 an answer gets three right, a baseline one."""
    right_once = [
        {"baseline_id": "x", "sample_id": f"test{i}", "split": "test"}
        | {"predicted_class_index": c}
        for i, c in enumerate([1, 1, 1, 1, 1])
    ]
    con = catalogue(
        {
            "sample": samples([0, 0, 0, 0, 1]),
            "answer": answers([0, 0, 0, None, 0]),
            "baseline": [{"baseline_id": "x", "dataset_id": "d", "architecture": "svm"}],
            "baseline_logit": right_once,
        }
    )
    query = (
        "SELECT * EXCLUDE (score_lower, score_upper, wilson_lower, wilson_upper) "
        "FROM prediction_score ORDER BY source"
    )
    answered = (5, 0.6, 0.375, pytest.approx(6 / 8 / 2), "accuracy", 0.6, 0.8, -1.0, 5, 0.2)
    baseline = (5, 0.2, 0.5, pytest.approx(2 / 6 / 2), "accuracy", 0.2, 0.8, -3.0, 5, 0.0)
    assert con.sql(query).fetchall() == [
        ("answer", None, "m", "d", "generate", "test", *answered),
        ("baseline", "x", None, "d", None, "test", *baseline),
    ]


def test_a_reply_without_a_class_is_wrong_and_counted(catalogue):
    con = catalogue({"sample": samples([0, 1, 1, 1]), "answer": answers([0, 1, None, None])})
    (row,) = con.sql(f"SELECT {COLUMNS}, unparsed_share FROM answer_accuracy").fetchall()
    assert row == (4, 0.5, pytest.approx(2 / 3), pytest.approx((1 + 0.5) / 2), 0.75, -1.0, 0.5)


def test_an_unparsed_reply_counts_as_wrong_even_with_a_class_beside_it(catalogue):
    reply = answers([0])[0] | {"parsed": False}
    con = catalogue({"sample": samples([0]), "answer": [reply]})
    query = "SELECT accuracy, unparsed_share FROM answer_accuracy"
    assert con.sql(query).fetchall() == [(0.0, 1.0)]


@pytest.mark.exact_rows("reply_ending")
def test_cut_replies_are_no_unparsed_ones(catalogue):
    """Of four replies two were cut, one of these before it named a class; one ended without."""
    ends = [("stop", 2), ("length", 9), ("length", 9), ("stop", 4)]
    replies = [
        reply | {"finish_reason": finish, "n_tokens": n, "raw_text": ""}
        for reply, (finish, n) in zip(answers([0, 0, None, None]), ends, strict=True)
    ]
    older = answers([0, 1, None, None], model_id="older")
    con = catalogue({"sample": samples([0, 0, 1, 1]), "answer": replies + older})
    assert con.sql("SELECT * FROM reply_ending").fetchall() == [
        ("m", "d", "generate", "test", 4, 2, 1, 6.0, 9)
    ]
    query = "SELECT model_id, unparsed_share, truncated_share FROM answer_accuracy ORDER BY ALL"
    assert con.sql(query).fetchall() == [("m", 0.25, 0.5), ("older", 0.5, None)]


@pytest.mark.exact_rows("answer_accuracy")
def test_models_methods_and_splits_are_scored_apart(catalogue):
    con = catalogue(
        {
            "sample": samples([0, 1]) + samples([0], split="val"),
            "answer": [
                *answers([0, 1]),
                *answers([0, 0], method="likelihood"),
                *answers([1], split="val"),
                *answers([1, 1], model_id="other"),
            ],
        }
    )
    query = "SELECT model_id, method, split, n, accuracy FROM answer_accuracy ORDER BY ALL"
    assert con.sql(query).fetchall() == [
        ("m", "generate", "test", 2, 1.0),
        ("m", "generate", "val", 1, 0.0),
        ("m", "likelihood", "test", 2, 0.5),
        ("other", "generate", "test", 2, 0.5),
    ]


def test_chance_is_the_largest_class_of_the_split_itself(catalogue):
    con = catalogue(
        {
            "sample": samples([0, 0, 1, 1, 1]) + samples([0, 0, 0, 1], split="val"),
            "answer": answers([1] * 5) + answers([1] * 4, split="val"),
        }
    )
    query = "SELECT split, accuracy, chance, signal FROM answer_accuracy ORDER BY split"
    assert con.sql(query).fetchall() == [
        ("test", 0.6, 0.6, 0.0),
        ("val", 0.25, 0.75, -2.0),
    ]


def test_one_class_alone_leaves_no_signal_to_correct(catalogue):
    con = catalogue({"sample": samples([1, 1]), "answer": answers([1, 0])})
    query = "SELECT accuracy, chance, signal FROM answer_accuracy"
    assert con.sql(query).fetchall() == [(0.5, 1.0, None)]


@pytest.mark.exact_rows("probe_accuracy", "baseline_accuracy")
def test_probes_and_baselines_are_scored_by_their_ids(catalogue):
    """The same id for a probe and a baseline, and for probes on two datasets, mixes nothing."""
    other = [row | {"dataset_id": "e", "class_index": 1} for row in samples([0, 1])]
    logit = [
        {"sample_id": f"test{i}", "split": "test", "predicted_class_index": 0} for i in range(2)
    ]
    con = catalogue(
        {
            "sample": samples([0, 1]) + other,
            "probe": [
                {"probe_id": "x", "model_id": "m", "dataset_id": "d", "module": "llm", "seed": 3},
                {"probe_id": "y", "model_id": "m", "dataset_id": "e", "module": "llm", "layer": 1},
            ],
            "probe_logit": [row | {"probe_id": p} for p in "xy" for row in logit],
            "baseline": [{"baseline_id": "x", "dataset_id": "d", "architecture": "svm"}],
            "baseline_logit": [
                row | {"baseline_id": "x", "predicted_class_index": i}
                for i, row in enumerate(logit)
            ],
        }
    )
    probes = "SELECT probe_id, dataset_id, layer, seed, n, accuracy FROM probe_accuracy ORDER BY 1"
    assert con.sql(probes).fetchall() == [("x", "d", 0, 3, 2, 0.5), ("y", "e", 1, 0, 2, 0.0)]
    baselines = "SELECT baseline_id, architecture, n, accuracy FROM baseline_accuracy"
    assert con.sql(baselines).fetchall() == [("x", "svm", 2, 1.0)]


# Newcombe 1998, Statistics in Medicine 17, table I, method 3.
WILSON = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
    (29, 29, 1 - 0.1170, 1.0),
]


@pytest.mark.parametrize(("k", "n", "lower", "upper"), WILSON)
def test_wilson_intervals(catalogue, k, n, lower, upper):
    con = catalogue({"sample": samples([0] * n), "answer": answers([0] * k + [1] * (n - k))})
    ((got_lower, got_upper),) = con.sql(
        "SELECT wilson_lower, wilson_upper FROM answer_accuracy"
    ).fetchall()
    assert got_lower == pytest.approx(lower, abs=5e-5)
    assert got_upper == pytest.approx(upper, abs=5e-5)


def slow_scores(pairs):
    """accuracy, balanced accuracy and macro F1 as scikit-learn defines them, None for no class."""
    true, predicted = Counter(t for t, _ in pairs), Counter(p for _, p in pairs)
    hits = Counter(t for t, p in pairs if t == p)
    named = (set(true) | set(predicted)) - {None}
    f1 = [2 * hits[c] / (true[c] + predicted[c]) for c in named]
    recalls = [hits[c] / true[c] for c in true]
    return sum(hits.values()) / len(pairs), sum(recalls) / len(recalls), sum(f1) / len(f1)


PAIRS = st.lists(
    st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 4))), min_size=1, max_size=30
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(pairs=PAIRS)
def test_scores_equal_a_slow_reference(pairs):
    assert view_scores(pairs) == pytest.approx(slow_scores(pairs))


def view_scores(pairs):
    """Scores of (true, predicted) pairs by the view's own SQL over a table of counts."""
    definitions = Definitions()
    with duckdb.connect() as con:
        for name in ("by_score", "wilson_lower", "wilson_upper"):
            con.execute(definitions.macros[name])
        con.execute(
            "CREATE TABLE confusion (source TEXT, source_id TEXT, model_id TEXT, dataset_id TEXT, "
            "method TEXT, split TEXT, class_index INT, predicted_class_index INT, n BIGINT)"
        )
        con.execute("CREATE TABLE dataset (dataset_id TEXT, score TEXT)")
        for (true, predicted), n in Counter(pairs).items():
            con.execute(
                "INSERT INTO confusion VALUES ('answer', NULL, 'm', 'd', 'x', 'test', ?, ?, ?)",
                [true, predicted, n],
            )
        query = definitions.views["prediction_score"]
        return con.execute(
            f"SELECT accuracy, balanced_accuracy, macro_f1 FROM ({query})"
        ).fetchall()[0]


def test_wilson_intervals_of_none_and_of_all_stay_within_zero_and_one():
    definitions = Definitions()
    with duckdb.connect() as con:
        con.execute(definitions.macros["wilson_lower"] + definitions.macros["wilson_upper"])
        ends = con.execute(
            "SELECT min(wilson_lower(0.0, n)), max(wilson_upper(1.0 * n, n)) FROM range(1, 99) t(n)"
        ).fetchall()
    assert ends == [(0.0, 1.0)]
