"""Usable information per sample, on exact rows."""

import math

import pytest


@pytest.mark.exact_rows("pointwise_information")
def test_exact_rows(catalogue):
    """Train shows class 0 three times of four; class 2 it never shows."""
    train = [
        {"dataset_id": "d", "sample_id": f"r{i}", "class_index": c, "split": "train"}
        for i, c in enumerate([0, 0, 0, 1])
    ]
    test = [
        {"dataset_id": "d", "sample_id": f"t{i}", "class_index": c, "split": "test"}
        for i, c in enumerate([0, 1, 2])
    ]
    even = [0.0, 0.0, 0.0]
    sure = [0.0, math.log(6), 0.0]  # three quarters for class 1
    con = catalogue(
        {
            "sample": train + test,
            "probe": [{"probe_id": "p", "model_id": "m", "dataset_id": "d", "control": "none"}],
            "probe_logit": [
                {"probe_id": "p", "sample_id": name, "split": "test", "logits": logits}
                for name, logits in (("t0", even), ("t1", sure), ("t2", even))
            ],
        }
    )
    query = "SELECT sample_id, class_index, information_bits FROM pointwise_information ORDER BY 1"
    assert con.sql(query).fetchall() == [
        ("t0", 0, pytest.approx(math.log2((1 / 3) / (3 / 4)))),
        ("t1", 1, pytest.approx(math.log2((3 / 4) / (1 / 4)))),
        ("t2", 2, None),
    ]


def test_under_folds_shares_are_those_of_the_folds_that_trained(catalogue):
    """Four folds: fold 0 is scored by what was trained on folds 2 and 3, where three of four are of
    class 0; fold 2 by folds 0 and 1, where one of four is."""
    classes = ((0, 1), (1, 1), (0, 0), (0, 1))
    samples = [
        {"dataset_id": "d", "sample_id": f"s{fold}{i}", "class_index": one, "split": "test"}
        for fold, pair in enumerate(classes)
        for i, one in enumerate(pair)
    ]
    even = [0.0, 0.0]
    con = catalogue(
        {
            "dataset": [{"dataset_id": "d", "evaluation": "folds", "n_folds": 4}],
            "sample": samples,
            "sample_fold": [
                {"dataset_id": "d", "sample_id": row["sample_id"], "repetition": repetition}
                | {"fold": (int(row["sample_id"][1]) + repetition) % 4}
                for row in samples
                for repetition in (0, 1)
            ],
            "probe": [
                {"probe_id": "p", "model_id": "m", "dataset_id": "d", "control": "none", "seed": 0}
            ],
            "probe_logit": [
                {"probe_id": "p", "sample_id": name, "split": split, "logits": even}
                for name in ("s00", "s01", "s20")
                for split in ("val", "test")
            ],
        }
    )
    found = con.sql("SELECT sample_id, information_bits FROM pointwise_information ORDER BY 1")
    assert found.fetchall() == [
        ("s00", pytest.approx(math.log2(0.5 / 0.75))),
        ("s01", pytest.approx(math.log2(0.5 / 0.25))),
        ("s20", pytest.approx(math.log2(0.5 / 0.25))),
    ]


@pytest.mark.exact_rows("trained_sample")
def test_what_trains_for_a_fold_is_all_but_it_and_the_next(catalogue):
    folded = [
        {"dataset_id": "d", "sample_id": f"s{fold}", "repetition": 0, "fold": fold}
        for fold in range(3)
    ]
    con = catalogue(
        {
            "dataset": [{"dataset_id": "d", "evaluation": "folds", "n_folds": 3}],
            "sample_fold": folded,
            "sample": [{"dataset_id": "d", "sample_id": f"s{i}", "split": "test"} for i in range(3)]
            + [{"dataset_id": "e", "sample_id": one, "split": one} for one in ("train", "val")],
        }
    )
    assert con.sql("SELECT * FROM trained_sample ORDER BY ALL").fetchall() == [
        ("d", 0, 0, "s2"),
        ("d", 0, 1, "s0"),
        ("d", 0, 2, "s1"),
        ("e", None, None, "train"),
    ]
