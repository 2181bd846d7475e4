"""What a model saw in training is no evidence of it, and of no other model."""

from typing import Any

import pytest

from analysis.diagnosis.evidence import read_evidence
from analysis.diagnosis.intervals import Resampling, interval_rows
from tests.sql.worlds import add_probe, class_of, world
from warehouse.vocabulary import SEEN_IN_TRAINING

OF = {"model_id": "m", "dataset_id": "d"}


def rows(seen: tuple[str, ...], n_groups: int = 20) -> dict[str, list[dict[str, Any]]]:
    """Twenty test samples of which `m` answers the first fifteen rightly, and so does `n`."""
    found = world(answers={"generate": (5, 15)}, n_groups=n_groups)
    found["answer"] += [{**row, "model_id": "n"} for row in found["answer"]]
    found["seen_sample"] = [{**OF, "sample_id": name} for name in seen]
    return found


@pytest.mark.exact_rows("left_out_sample")
def test_whole_groups_of_test_are_left_out(catalogue):
    query = "SELECT * FROM left_out_sample ORDER BY ALL"
    assert catalogue(rows(("test03", "val01"))).sql(query).fetchall() == [("m", "d", "test03")]
    # ten groups: test13 is of the patient of test03
    grouped = rows(("test03",), n_groups=10)
    assert catalogue(grouped).sql(query).fetchall() == [("m", "d", "test03"), ("m", "d", "test13")]


def test_what_an_extraction_left_out_before_there_were_records_counts_too(catalogue):
    found = rows(())
    found["run"] = [{"run_id": "r", "command": "extract", **OF}]
    found["rejected_sample"] = [
        {"run_id": "r", "dataset_id": "d", "sample_id": "test01", "reason": SEEN_IN_TRAINING},
        {"run_id": "r", "dataset_id": "d", "sample_id": "test02", "reason": "damaged"},
    ]
    query = "SELECT sample_id FROM left_out_sample"
    assert catalogue(found).sql(query).fetchall() == [("test01",)]


@pytest.mark.exact_rows("caveat")
def test_a_caveat_is_of_every_model_that_was_probed_or_asked(catalogue):
    found = rows(("test03", "val01"))
    found["dataset"] = [{"dataset_id": "d", "score": "balanced_accuracy"}]
    found["model"].append({"model_id": "n", "name": "n", "variant": "quantization:4bit+random:7"})
    add_probe(found, ("vision", 1, "mean"), (5, 15))
    assert catalogue(found).sql("FROM caveat ORDER BY model_id").fetchall() == [
        ("m", "d", 1, True, False),
        ("n", "d", 0, None, True),
    ]


@pytest.mark.exact_rows("unseen_answer")
def test_answers_about_them_are_not_scored(catalogue):
    """They were given while the samples were not of test."""
    con = catalogue(rows(("test00", "test01", "test19")))
    left = con.sql("SELECT model_id, count(*) FROM unseen_answer GROUP BY model_id ORDER BY ALL")
    assert left.fetchall() == [("m", 27), ("n", 30)]
    scores = con.sql(
        "SELECT model_id, n, accuracy FROM answer_accuracy WHERE split = 'test' ORDER BY model_id"
    )
    assert scores.fetchall() == [("m", 17, 13 / 17), ("n", 20, 0.75)]
    told = con.sql("SELECT model_id, n_test, n_samples FROM diagnosed_method ORDER BY ALL")
    assert told.fetchall() == [("m", 17, 17), ("n", 20, 20)]


def test_a_lens_is_not_scored_on_them(catalogue):
    found = rows(("test00",))
    found["layer"] = [{"model_id": "m", "module": "llm", "layer": 0, "depth": 0}]
    found["logit_lens"] = [
        {**OF, "layer": 0, "sample_id": name, "predicted_class_index": 0}
        for name in ("test00", "test01", "test02")
    ]
    con = catalogue(found)
    assert con.sql(
        "SELECT sum(n) FROM confusion WHERE source = 'lens' AND split = 'test'"
    ).fetchall() == [(2,)]


@pytest.mark.exact_rows("reference_prediction", "stage_reference")
def test_a_baseline_is_held_against_the_samples_that_are_left(catalogue):
    """It reads 19 of 20, of which the model saw the first five, and after vision 13 of 15 are."""
    probes = {("vision", 1, "mean"): (9, 18), ("llm", 1, "last"): (6, 18)}
    found = world(probes, {"likelihood": (4, 8)}, {("svm", 0): (9, 19)})
    seen = [f"test{i:02d}" for i in range(5)]
    found["seen_sample"] = [{**OF, "sample_id": name} for name in seen]
    found["probe_logit"] = [row for row in found["probe_logit"] if row["sample_id"] not in seen]
    con = catalogue(found)
    said = con.sql(
        "SELECT seed, stratum, count(*), sum(is_right::INT) FROM reference_prediction GROUP BY ALL"
    ).fetchall()
    assert said == [(0, 0, 20, 19)]
    reference = con.sql("SELECT * FROM stage_reference").fetchall()
    assert reference == [("m", "d", pytest.approx(14 / 15))]
    losses = con.sql("SELECT before, after, reference_source FROM stage_loss ORDER BY stage_order")
    assert losses.fetchall()[0] == (pytest.approx(14 / 15), pytest.approx(13 / 15), "baseline")
    evidence = read_evidence(con, "m", "d")
    points = {
        row["quantity"]: row["point"]
        for row in interval_rows(evidence, Resampling(10), "m", "d")["stage_interval"]
        if row["stage"] == "vision"
    }
    assert points["loss"] == pytest.approx(1 / 15)


def test_classes_of_the_samples_that_are_left_weigh_alike_under_balanced_accuracy(catalogue):
    """Of the last seven the baseline reads all but the last."""
    probes = {("vision", 1, "mean"): (9, 18)}
    found = world(probes, {"likelihood": (4, 8)}, {("svm", 0): (9, 19)})
    found["dataset"] = [{"dataset_id": "d", "score": "balanced_accuracy"}]
    found["seen_sample"] = [{**OF, "sample_id": f"test{i:02d}"} for i in range(13)]
    classes = [class_of(i) for i in range(13, 20)]
    others, last = len(classes) - classes.count(classes[-1]), classes.count(classes[-1])
    assert others != last
    reference = catalogue(found).sql("SELECT test_accuracy FROM stage_reference").fetchall()
    assert reference == [(pytest.approx((1 + (last - 1) / last) / 2),)]
