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
