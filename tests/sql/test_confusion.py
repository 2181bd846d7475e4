"""Everything that predicts is counted in one place, each thing apart."""

import pytest

NAMES = {"model_id": "m", "dataset_id": "d"}
# Samples `test0`, `test1` and `test2`, then `val0` and `val1`.
SAMPLES = [
    {"dataset_id": "d", "sample_id": f"{split}{i}", "class_index": c, "split": split}
    for split, classes in (("test", (0, 1, 0)), ("val", (0, 1)))
    for i, c in enumerate(classes)
]


def logits(key, **predicted):
    return [
        {**key, "sample_id": sample, "split": sample[:-1], "predicted_class_index": c}
        for sample, c in predicted.items()
    ]


def replies(method, **predicted):
    place = {**NAMES, "method": method, "parsed": True}
    return [
        {**place, "sample_id": sample, "predicted_class_index": c}
        for sample, c in predicted.items()
    ]


def counts(con):
    return con.sql("SELECT * FROM confusion ORDER BY ALL NULLS LAST").fetchall()


@pytest.mark.exact_rows("confusion")
def test_every_source_of_predictions_is_counted_by_its_own_key(catalogue):
    con = catalogue(
        {
            "sample": SAMPLES,
            "probe": [{"probe_id": "x", **NAMES}],
            "probe_logit": logits({"probe_id": "x"}, test0=0, test1=0, test2=0, val0=1),
            "baseline": [{"baseline_id": "x", "dataset_id": "d"}],
            "baseline_logit": logits({"baseline_id": "x"}, test0=1),
            "answer": replies("generate", test0=0, test1=1, test2=1),
            "logit_lens": [{**NAMES, "layer": 3, "sample_id": "test1", "predicted_class_index": 1}],
            "fold_probe": [{"fold_probe_id": "x", **NAMES, "kind": "linear", "n_folds": 2}],
            "fold_logit": [{"fold_probe_id": "x", "sample_id": "val0", "predicted_class_index": 0}],
        }
    )
    assert counts(con) == [
        ("answer", None, "m", "d", "generate", "test", 0, 0, 1),
        ("answer", None, "m", "d", "generate", "test", 0, 1, 1),
        ("answer", None, "m", "d", "generate", "test", 1, 1, 1),
        ("baseline", "x", None, "d", None, "test", 0, 1, 1),
        ("fold", "x", "m", "d", None, "test", 0, 0, 1),  # what a fold tested counts as test
        ("lens", "3", "m", "d", None, "test", 1, 1, 1),
        ("probe", "x", "m", "d", None, "test", 0, 0, 2),
        ("probe", "x", "m", "d", None, "test", 1, 0, 1),
        ("probe", "x", "m", "d", None, "val", 0, 1, 1),
    ]


def test_a_reply_that_names_no_class_is_counted_without_one(catalogue):
    """Also where a class stands beside it."""
    silent = [reply | {"parsed": False} for reply in replies("generate", test0=0, test2=None)]
    con = catalogue({"sample": SAMPLES, "answer": silent})
    assert counts(con) == [("answer", None, "m", "d", "generate", "test", 0, None, 2)]


def test_likelihoods_are_counted_as_answered_and_as_calibrated(catalogue):
    """On val class 0 is two nats likelier than class 1: test0 leads by one only, test1 by three."""
    logprobs = {"val0": [-1.0, -2.0], "val1": [-1.0, -4.0], "test0": [-1.0, -2.0]}
    logprobs["test1"] = [-1.0, -4.0]
    answers = [
        reply | {"label_logprobs": logprobs[reply["sample_id"]]}
        for reply in replies("likelihood", **dict.fromkeys(logprobs, 0))
    ]
    con = catalogue({"sample": SAMPLES, "answer": answers})
    assert counts(con) == [
        ("answer", None, "m", "d", "calibrated", "test", 0, 1, 1),
        ("answer", None, "m", "d", "calibrated", "test", 1, 0, 1),
        ("answer", None, "m", "d", "calibrated", "val", 0, 1, 1),
        ("answer", None, "m", "d", "calibrated", "val", 1, 0, 1),
        ("answer", None, "m", "d", "likelihood", "test", 0, 0, 1),
        ("answer", None, "m", "d", "likelihood", "test", 1, 0, 1),
        ("answer", None, "m", "d", "likelihood", "val", 0, 0, 1),
        ("answer", None, "m", "d", "likelihood", "val", 1, 0, 1),
    ]
