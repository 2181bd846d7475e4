"""Under folds each fold chooses on the others, and is scored by what it chose."""

from typing import Any

import pytest

from tests.sql.worlds import NAMES, Rows

SIX = range(6)
EVEN, UNEVEN = (0, 1, 0, 1, 0, 1), (0, 1, 0, 0, 0, 1)
"""The classes of the samples."""


def said(right: set[int], split: str, labels: tuple[int, ...]) -> list[dict[str, Any]]:
    return [
        {
            "sample_id": f"s{i}",
            "split": split,
            "predicted_class_index": labels[i] if i in right else 1 - labels[i],
        }
        for i in SIX
    ]


def folded(labels: tuple[int, ...] = EVEN) -> Rows:
    """Six samples of two classes in three folds of two, dealt once; who is right stands below."""
    loci = (("vision", 0), ("connector", 0), ("llm", 0))
    probes = {"connector": ("mean", {0, 1, 2, 3}, {0, 1, 4}), "llm": ("last", {2, 3, 4}, {0, 3, 5})}
    baselines = {"x": ({0, 1}, set(SIX)), "y": ({2, 3, 4, 5}, set())}
    rows: Rows = {
        "model": [{"model_id": "m", "name": "m", "variant": "base"}],
        "sample": [
            {"dataset_id": "d", "sample_id": f"s{i}", "class_index": labels[i]}
            | {"split": "test", "group_id": f"s{i}"}
            for i in SIX
        ],
        "sample_fold": [
            {"dataset_id": "d", "sample_id": f"s{i}", "repetition": 0, "fold": i // 2} for i in SIX
        ],
        "layer": [
            {"model_id": "m", "module": module, "layer": layer, "depth": depth, "on_path": True}
            for depth, (module, layer) in enumerate(loci)
        ],
        "answer": [
            {**NAMES, "sample_id": row["sample_id"], "method": "likelihood", "parsed": True}
            | {"predicted_class_index": row["predicted_class_index"]}
            for row in said({0}, "test", labels)
        ],
    }
    rows |= {name: [] for name in ("probe", "probe_logit", "baseline", "baseline_logit")}
    for module, (readout, val, test) in probes.items():
        own = {"probe_id": module}
        locus = {"module": module, "layer": 0, "readout": readout, "kind": "linear"}
        rows["probe"].append({**own, **NAMES, **locus, "control": "none", "seed": 0})
        rows["probe_logit"] += [
            own | row for row in said(val, "val", labels) + said(test, "test", labels)
        ]
    for architecture, (val, test) in baselines.items():
        own = {"baseline_id": architecture}
        rows["baseline"].append(
            own | {"dataset_id": "d", "architecture": architecture, "kind": "svm", "seed": 0}
        )
        rows["baseline_logit"] += [
            own | row for row in said(val, "val", labels) + said(test, "test", labels)
        ]
    return rows


@pytest.mark.exact_rows("fold_choice")
def test_a_fold_chooses_on_the_samples_of_the_others(catalogue):
    chosen = catalogue(folded()).sql(
        "SELECT stage, fold, module, readout, val_accuracy FROM fold_choice ORDER BY ALL"
    )
    assert chosen.fetchall() == [
        ("answer", 0, "answer", "likelihood", 0.0),
        ("answer", 1, "answer", "likelihood", 0.25),
        ("answer", 2, "answer", "likelihood", 0.25),
        ("connector", 0, "llm", "last", 0.75),
        ("connector", 1, "connector", "mean", 0.5),
        ("connector", 2, "connector", "mean", 1.0),
        ("llm", 0, "llm", "last", 0.75),
        ("llm", 1, "answer", "likelihood", 0.25),  # of equals the latest
        ("llm", 2, "llm", "last", 0.5),
        ("reference", 0, "baseline", "y", 1.0),
        ("reference", 1, "baseline", "x", 0.5),
        ("reference", 2, "baseline", "x", 0.5),
        ("vision", 0, "llm", "last", 0.75),
        ("vision", 1, "connector", "mean", 0.5),
        ("vision", 2, "connector", "mean", 1.0),
    ]


def test_answers_of_what_nobody_probed_are_chosen_in_every_fold(catalogue):
    rows = folded() | {name: [] for name in ("layer", "probe", "probe_logit")}
    chosen = catalogue(rows).sql(
        "SELECT stage, fold, readout FROM fold_choice WHERE stage != 'reference' ORDER BY ALL"
    )
    assert chosen.fetchall() == [("answer", fold, "likelihood") for fold in range(3)]


STANDS = {
    "fold_choice": "FROM fold_choice ORDER BY ALL",
    "fold_prediction": "FROM fold_prediction ORDER BY ALL",
    "stage_signal": "SELECT stage, module, test_accuracy, n_test FROM stage_signal ORDER BY ALL",
    "stage_loss": "SELECT stage, before, after, loss FROM stage_loss ORDER BY ALL",
}


def test_where_samples_were_dealt_more_often_than_probed_the_answer_stands_for_no_stage(catalogue):
    """One seed was fitted, and the samples are dealt five times: the other four say nothing."""
    once, often = folded(), folded()
    often["sample_fold"] = [
        row | {"repetition": repetition, "fold": (row["fold"] + repetition * i) % 3}
        for repetition in range(5)
        for i, row in enumerate(often["sample_fold"])
    ]
    told = [
        {name: con.sql(query).fetchall() for name, query in STANDS.items()}
        for con in map(catalogue, (once, often))
    ]
    assert told[0] == told[1]


def test_answers_alone_are_held_against_every_deal(catalogue):
    rows = folded()
    rows |= {name: [] for name in ("probe", "probe_logit", "baseline", "baseline_logit")}
    rows["sample_fold"] += [{**row, "repetition": 1} for row in rows["sample_fold"]]
    signal = "SELECT stage, test_accuracy, n_test FROM stage_signal WHERE stage = 'answer'"
    assert catalogue(rows).sql(signal).fetchall() == [("answer", pytest.approx(1 / 6), 6)]


@pytest.mark.exact_rows("fold_prediction", "seed_prediction")
def test_a_sample_is_scored_by_the_choice_of_its_fold(catalogue):
    con = catalogue(folded())
    right = (
        "SELECT model_id, stage, string_agg(sample_id, ' ' ORDER BY sample_id) "
        "FROM {} WHERE is_right GROUP BY ALL ORDER BY ALL"
    )
    expected = [
        ("m", "answer", "s0"),
        ("m", "connector", "s0 s4"),
        ("m", "llm", "s0 s5"),
        ("m", "vision", "s0 s4"),
        (None, "reference", "s2 s3 s4 s5"),
    ]
    assert con.sql(right.format("fold_prediction")).fetchall() == expected
    assert con.sql(right.format("seed_prediction")).fetchall() == expected[:-1]
    counts = con.sql("SELECT stage, count(*) FROM fold_prediction GROUP BY stage")
    assert dict(list(counts.fetchall())) == dict.fromkeys(
        ("vision", "connector", "llm", "answer", "reference"), 6
    )
    losses = con.sql("SELECT stage, before, after FROM stage_loss ORDER BY stage_order")
    third = pytest.approx(1 / 3)
    assert losses.fetchall() == [
        ("vision", pytest.approx(2 / 3), third),
        ("connector", third, third),
        ("llm", third, third),
        ("answer", third, pytest.approx(1 / 6)),
    ]
    assert con.sql("SELECT count(*) FROM stage_prediction").fetchall() == [(24,)]


def test_under_balanced_accuracy_each_class_weighs_as_much_as_another(catalogue):
    """Four samples of class 0 weigh a quarter each, the two of class 1, s1 and s5, a half."""
    rows = folded(UNEVEN)
    rows["dataset"] = [{"dataset_id": "d", "score": "balanced_accuracy"}]
    con = catalogue(rows)
    chosen = con.sql(
        "SELECT stage, fold, readout, round(val_accuracy, 9), score FROM fold_choice "
        "WHERE stage IN ('connector', 'llm', 'reference') ORDER BY ALL"
    )
    assert [(*row[:3], pytest.approx(row[3])) for row in chosen.fetchall()] == [
        ("connector", 0, "last", 0.75 / 1.25),
        ("connector", 1, "mean", 0.75 / 1.5),
        ("connector", 2, "mean", 1.0),
        ("llm", 0, "last", 0.75 / 1.25),
        ("llm", 1, "likelihood", 0.25 / 1.5),
        ("llm", 2, "last", 0.5 / 1.25),
        ("reference", 0, "y", 1.0),
        ("reference", 1, "x", 0.75 / 1.5),
        ("reference", 2, "x", 0.75 / 1.25),
    ]
    # Right after the connector: s0 and s4; at the llm's end s0 and s5; answered s0; by baselines s2
    # to s5.
    signals = con.sql(
        "SELECT stage, test_accuracy, available_accuracy, chance, score FROM stage_signal "
        "ORDER BY stage_order"
    )
    balanced = "balanced_accuracy"
    assert signals.fetchall() == [
        ("vision", 0.25, 0.375, 0.5, balanced),
        ("connector", 0.25, 0.375, 0.5, balanced),
        ("llm", 0.375, 0.375, 0.5, balanced),
        ("answer", 0.125, 0.125, 0.5, balanced),
    ]
    losses = con.sql("SELECT before, after, loss FROM stage_loss ORDER BY stage_order")
    assert losses.fetchall() == [
        (0.625, 0.375, 0.25),
        (0.375, 0.375, 0.0),
        (0.375, 0.375, 0.0),
        (0.375, 0.125, 0.25),
    ]


def test_the_reference_s_difference_is_that_of_the_baseline_that_each_fold_has_chosen(catalogue):
    """Right are the chosen ones about four of six, the answer about one; y, the best on all of val,
    is right about none."""
    rows = folded() | {"dataset": [{"dataset_id": "d", "score": "accuracy", "evaluation": "folds"}]}
    found = catalogue(rows).sql(
        "SELECT count(*), sum(difference) FROM stage_difference WHERE stage = 'total'"
    )
    assert found.fetchall() == [(6, 4 - 1)]
