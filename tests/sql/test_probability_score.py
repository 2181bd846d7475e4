"""What probabilities score, in SQL, against scikit-learn and the vectorised metrics."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from tests.analysis import scores

COLUMNS = "auroc, log_loss, expected_calibration_error"


def rows(labels, logits, name="p", split="test"):
    ids = [f"{split}{i}" for i in range(len(labels))]
    samples = [
        {"dataset_id": "d", "sample_id": i, "class_index": int(c), "split": split}
        for i, c in zip(ids, labels, strict=True)
    ]
    stored = [
        {
            "probe_id": name,
            "sample_id": i,
            "split": split,
            "logits": [float(value) for value in row],
            "predicted_class_index": int(np.argmax(row)),
        }
        for i, row in zip(ids, logits, strict=True)
    ]
    return {
        "sample": samples,
        "probe": [{"probe_id": name, "dataset_id": "d", "kind": "linear", "control": "none"}],
        "probe_logit": stored,
    }


def test_a_hand_counted_case(catalogue):
    """Two classes; the positives' probabilities 0.9, 0.6, 0.5 against 0.5 and 0.2 of the others."""
    shares = np.array([0.9, 0.6, 0.5, 0.5, 0.2])
    logits = np.stack([np.zeros(5), np.log(shares / (1 - shares))], axis=1)
    con = catalogue(rows([1, 1, 1, 0, 0], logits))
    (found,) = con.sql(f"SELECT n, {COLUMNS} FROM probe_accuracy").fetchall()
    loss = -np.log(np.array([0.9, 0.6, 0.5, 0.5, 0.8])).mean()
    # The two samples at one half share a bin: class 0 is named, one of the two is right.
    gap = (abs(1 - 0.9) + abs(1 - 0.6) + abs(1 - 1.0) + abs(1 - 0.8)) / 5
    assert found == (5, pytest.approx(5.5 / 6), pytest.approx(loss), pytest.approx(gap, abs=1e-6))


def test_one_class_alone_has_no_curve(catalogue):
    con = catalogue(rows([1, 1], [[0.0, 1.0], [0.5, 0.0]]))
    ((area, loss, _),) = con.sql(f"SELECT {COLUMNS} FROM probe_accuracy").fetchall()
    assert area is None
    assert loss > 0


@pytest.mark.exact_rows("probability_score")
def test_baselines_have_the_same_scores(catalogue):
    given_rows = rows([0, 1, 1], [[2.0, 0.0], [0.0, 0.5], [0.3, 0.0]])
    given_rows["baseline"] = [{"baseline_id": "p", "dataset_id": "d"}]
    given_rows["baseline_logit"] = [
        {"baseline_id" if key == "probe_id" else key: value for key, value in row.items()}
        for row in given_rows["probe_logit"]
    ]
    con = catalogue(given_rows)
    query = f"SELECT source, {COLUMNS} FROM probability_score ORDER BY source"
    # Named with confidences of 0.881, 0.622 and 0.574, of which the last is misplaced.
    sure = [1 / (1 + np.exp(-gap)) for gap in (2.0, 0.5, 0.3)]
    loss = -np.log([sure[0], sure[1], 1 - sure[2]]).mean()
    gap = (1 - sure[0] + 1 - sure[1] + sure[2]) / 3
    scores = (1.0, pytest.approx(loss), pytest.approx(gap, abs=1e-6))
    assert con.sql(query).fetchall() == [("baseline", *scores), ("probe", *scores)]


CASES = st.integers(2, 4).flatmap(
    lambda k: st.lists(
        st.tuples(
            st.integers(0, k - 1),
            st.lists(st.integers(-12, 12).map(lambda x: x / 4), min_size=k, max_size=k),
        ),
        min_size=2,
        max_size=25,
    )
)


# Every call of the fixture makes a catalogue of its own.
@pytest.mark.slow
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(cases=st.lists(CASES, min_size=4, max_size=4))
def test_scores_equal_scikit_learn_and_the_vectorised_metrics(catalogue, cases):
    merged = {"sample": [], "probe": [], "probe_logit": []}
    for index, case in enumerate(cases):
        part = rows([c for c, _ in case], [row for _, row in case], name=f"p{index}")
        for row in [*part["sample"], *part["probe"]]:
            row["dataset_id"] = f"d{index}"
        merged = {table: merged[table] + part[table] for table in merged}
    con = catalogue(merged)
    found = con.sql(f"SELECT {COLUMNS} FROM probe_accuracy ORDER BY probe_id").fetchall()
    for case, (area, loss, error) in zip(cases, found, strict=True):
        labels, logits = np.array([c for c, _ in case]), np.array([row for _, row in case])
        share = scores.softmax(logits)
        every = np.arange(logits.shape[1])
        assert loss == pytest.approx(log_loss(labels, share, labels=every), abs=1e-9)
        assert error == pytest.approx(float(scores.expected_calibration_error(labels, logits)))
        present = np.unique(labels)
        if len(present) == 1:
            assert area is None
            continue
        expected = np.mean([roc_auc_score(labels == c, share[:, c]) for c in present])
        assert area == pytest.approx(float(expected))
        assert area == pytest.approx(float(scores.auroc(labels, logits)))
