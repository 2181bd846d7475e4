"""Verdicts from data: made-up lakes of known losses through the real diagnose()."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.comparison import compare
from analysis.diagnosis import Choice, diagnose
from analysis.diagnosis.diagnosing import _diagnosis_config
from analysis.diagnosis.evidence import read_evidence
from analysis.diagnosis.intervals import Resampling, interval_rows
from analysis.probes.probing import probe
from analysis.report import report
from tests.analysis.activation_lake import MODEL, add_activations, dataset_lake
from tests.lakes import MadeUpDataset, Signals, rest_on, synthetic_lake, write_baseline
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.standing import list_commits

LOSING = Signals.losing
MODELS = {
    "healthy": LOSING(connector=0.005, answer=0.005),
    "blind": LOSING(vision=0.3),
    "narrow": LOSING(connector=0.3),
    "inattentive": replace(LOSING(llm=0.3), image_tokens=0.95),
    "mislabelled": LOSING(answer=0.3),
    "twice": LOSING(connector=0.2, answer=0.25),
    "mute": Signals(methods=()),
    "mute+random:0": Signals(methods=()),
    "half": Signals(modules=("connector", "llm")),
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return synthetic_lake(tmp_path_factory.mktemp("lake"), MODELS, n_samples=600)


@pytest.fixture(scope="module")
def diagnoses(lake):
    return {model: diagnose(lake, model, "shapes", n_resamples=500) for model in MODELS}


@pytest.mark.parametrize(
    ("model", "verdict"),
    [
        ("healthy", "healthy"),
        ("blind", "vision_quality"),
        ("narrow", "connector_fidelity"),
        ("inattentive", "llm_comprehension"),
        ("mislabelled", "semantic_mapping"),
        ("mute", "undetermined"),
        ("half", "undetermined"),
    ],
)
def test_verdict_names_the_stage_that_loses(diagnoses, model, verdict):
    assert diagnoses[model].verdict == verdict
    present = [row.failure_mode for row in diagnoses[model].rows if row.is_present]
    assert present == ([verdict] if verdict not in ("healthy", "undetermined") else [])


def test_two_losses_are_both_present_and_the_larger_is_primary(diagnoses):
    rows = diagnoses["twice"].rows
    assert [row.is_present for row in rows] == [False, True, False, True]
    assert diagnoses["twice"].verdict == "semantic_mapping"
    assert "are no longer readable behind the connector" in diagnoses["twice"].sentence


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("healthy", ("nothing to repair", "95% interval")),
        ("blind", ("where a traditional classifier (texture-svm) reads 90%", "vision tower")),
        ("narrow", ("where its probes read 96%", "All of the 30 missing points", "connector")),
        ("inattentive", ("image tokens still hold the class",)),
        ("mislabelled", ("mapped to the wrong words",)),
        ("mute", ("no answers stored: run `layerhouse extract --model mute",)),
        ("mute+random:0", ("Its weights are random: it knows nothing",)),
        ("half", ("no probe at the end of vision: run `layerhouse extract --model half",)),
    ],
)
def test_sentence_says_what_is_lost_and_what_would_mend_it(diagnoses, model, words):
    for part in words:
        assert part in diagnoses[model].sentence


@pytest.mark.usefixtures("diagnoses")
def test_points_are_the_views_own_numbers(lake):
    with connect(lake) as wh:
        stages = wh.sql(
            """
            SELECT i.model_id, i.stage, i.quantity, i.point, l.loss, s.available_accuracy
            FROM stage_interval AS i
            LEFT JOIN stage_loss AS l USING (model_id, dataset_id, stage)
            LEFT JOIN stage_signal AS s USING (model_id, dataset_id, stage)
            WHERE i.stage <> 'total'
            """
        ).fetchall()
        health = wh.sql(
            "SELECT i.point, h.health_score FROM health_interval AS i "
            "FULL JOIN feature_health AS h USING (model_id, dataset_id, module, track)"
        ).fetchall()
    # Four accuracies, under both their names, and four losses each, but three without answers.
    assert len(stages) == 7 * 12 + 2 * 9
    for _, _, quantity, point, loss, signal in stages:
        assert point == pytest.approx(loss if quantity == "loss" else signal, abs=1e-12)
    # vision, connector, and two tracks of the llm; "half" has no vision curve.
    assert len(health) == 8 * 4 + 3
    for point, score in health:
        assert point == pytest.approx(score, abs=1e-12)


@pytest.mark.usefixtures("diagnoses")
def test_intervals_contain_their_points(lake):
    with connect(lake) as wh:
        outside = wh.sql(
            "SELECT * FROM stage_interval WHERE NOT point BETWEEN lower - 0.01 AND upper + 0.01"
        ).fetchall()
    assert outside == []


def test_diagnosing_twice_adds_nothing(lake, diagnoses):
    before = list_commits(lake)
    again = diagnose(lake, "narrow", "shapes", n_resamples=500)
    assert list_commits(lake) == before
    assert not again.added
    assert diagnoses["narrow"].added
    assert replace(again, added=True) == diagnoses["narrow"]


@pytest.fixture
def small(tmp_path):
    return synthetic_lake(tmp_path, {"tiny": LOSING(connector=0.3)}, n_samples=200)


@pytest.mark.slow
def test_newest_options_win_even_if_they_were_used_before(small):
    def run(margin):
        return diagnose(small, "tiny", "shapes", n_resamples=200, margin=margin)

    strict, lenient, again = run(0.02), run(0.4), run(0.02)
    assert [strict.verdict, lenient.verdict] == ["connector_fidelity", "undetermined"]
    assert again.added
    assert again.verdict == strict.verdict
    assert len({strict.run_id, lenient.run_id, again.run_id}) == 3


@pytest.mark.slow
def test_another_score_is_another_diagnosis_and_the_first_one_comes_back(small):
    """Four classes of 10 to 15 test samples: the two scores are near, and never mixed."""
    first = diagnose(small, "tiny", "shapes", n_resamples=200)
    rest_on(small, "balanced_accuracy")
    verdicts = "SELECT DISTINCT score, verdict, reason FROM failure_mode"
    with connect(small) as wh:
        assert wh.sql(verdicts).fetchall() == [
            (
                "balanced_accuracy",
                "undetermined",
                "the intervals are of accuracy, and the score is balanced_accuracy now: run "
                "`layerhouse diagnose --model tiny --dataset shapes`; with 50 test images in 50 "
                "groups the smallest loss that can be shown (80% power) is of 15 to 23 points",
            )
        ]
        assert wh.sql("SELECT DISTINCT health_lower FROM mart_model_health").fetchall() == [(None,)]
    second = diagnose(small, "tiny", "shapes", n_resamples=200)
    assert (second.added, second.verdict) == (True, "connector_fidelity")
    assert "of the average class right (balanced accuracy)" in second.sentence
    assert not diagnose(small, "tiny", "shapes", n_resamples=200).added
    with connect(small) as wh:
        pairs = wh.sql(
            "SELECT i.point, l.loss, i.score FROM stage_interval AS i "
            "JOIN stage_loss AS l USING (model_id, dataset_id, stage) WHERE i.quantity = 'loss' "
            "UNION ALL SELECT i.point, h.health_score, i.score FROM health_interval AS i "
            "JOIN feature_health AS h USING (model_id, dataset_id, module, track)"
        ).fetchall()
        assert len(pairs) == 8
        for point, viewed, score in pairs:
            assert (point, score) == (pytest.approx(viewed, abs=1e-12), "balanced_accuracy")
        assert all(
            row[0] for row in wh.sql("SELECT health_lower FROM mart_model_health").fetchall()
        )
    assert [row.loss for row in second.rows] != [row.loss for row in first.rows]
    rest_on(small, "accuracy")
    again = diagnose(small, "tiny", "shapes", n_resamples=200)
    assert again.added
    assert again.rows == first.rows


@pytest.mark.slow
def test_new_evidence_makes_the_intervals_stale_until_diagnosed_again(small):
    diagnose(small, "tiny", "shapes", n_resamples=200)
    write_baseline(small, MadeUpDataset.draw(n_samples=200), 0.99, "pixels-logistic")
    with connect(small) as wh:
        ((verdict, reason),) = wh.sql(
            "SELECT DISTINCT verdict, reason FROM failure_mode"
        ).fetchall()
    assert verdict == "undetermined"
    assert "older than the probes, answers or baselines" in reason
    again = diagnose(small, "tiny", "shapes", n_resamples=200)
    assert again.added
    assert again.verdict == "connector_fidelity"


@pytest.mark.slow
def test_an_interrupted_diagnosis_is_finished_by_the_next(small, monkeypatch):
    def fail(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, "finish", fail)
        with pytest.raises(KeyboardInterrupt):
            diagnose(small, "tiny", "shapes", n_resamples=200)
    found = diagnose(small, "tiny", "shapes", n_resamples=200)
    assert found.verdict == "connector_fidelity"
    runs = list_commits(small, command="diagnose")
    assert [run.is_finish for run in runs] == [False, True]
    assert len({run.run_id for run in runs}) == 1


def test_without_a_baseline_the_vision_signal_is_the_reference(tmp_path):
    lake = synthetic_lake(tmp_path, {"tiny": LOSING(connector=0.3)}, n_samples=200, baseline=None)
    found = diagnose(lake, "tiny", "shapes", n_resamples=200)
    assert found.verdict == "connector_fidelity"
    assert found.reason is not None
    assert found.reason.startswith("no baseline, so the reference is the accuracy after vision")


@pytest.mark.slow
def test_few_patients_are_too_few_however_many_images(tmp_path):
    lake = synthetic_lake(tmp_path, {"tiny": LOSING(connector=0.3)}, n_samples=400, group_size=10)
    found = diagnose(lake, "tiny", "shapes", n_resamples=200)
    assert found.verdict == "undetermined"
    assert "only 10 test groups" in found.sentence


def test_unknown_names_are_refused_with_the_nearest(small):
    with pytest.raises(UsageError, match="no model 'tinny'; did you mean tiny"):
        diagnose(small, "tinny", "shapes")
    with pytest.raises(UsageError, match="no dataset 'shape'; did you mean shapes"):
        diagnose(small, "tiny", "shape")


def test_a_model_that_never_saw_the_dataset_is_sent_to_extract(small):
    synthetic_lake(small.root, {}, dataset_id="others", n_samples=200)
    with pytest.raises(LayerhouseError, match="neither probes nor answers of tiny on others; run"):
        diagnose(small, "tiny", "others")


def test_intervals_of_numbers_that_are_defined_otherwise_by_now_are_made_anew_once(tmp_path):
    """An older version stored them, of the very probes, answers and baselines that are there."""
    lake = synthetic_lake(tmp_path, {"tiny": LOSING(connector=0.3)}, n_samples=200)
    options = Resampling(100, 0.02, 0)
    with connect(lake) as wh:
        config = _diagnosis_config(wh, "tiny", "shapes", options)
        tables = interval_rows(read_evidence(wh, "tiny", "shapes"), options, "tiny", "shapes")
    for row in tables["stage_interval"]:
        row["point"] += 0.25
    with RunWriter(lake, RunSpec("diagnose", "tiny", "shapes", config)) as writer:
        writer.commit(tables, finished=True)
    found = [diagnose(lake, "tiny", "shapes", n_resamples=100) for _ in range(2)]
    assert [each.added for each in found] == [True, False]
    assert {each.verdict for each in found} == {"connector_fidelity"}


def test_a_model_whose_states_were_brought_is_sent_to_probe_and_never_to_extract(tmp_path):
    lake = synthetic_lake(tmp_path, {"tiny": Signals(modules=(), methods=())}, n_samples=40)
    with RunWriter(lake, RunSpec("import", "tiny", "shapes", {"states": "a"})) as writer:
        writer.finish()
    with pytest.raises(LayerhouseError) as refused:
        diagnose(lake, "tiny", "shapes")
    named = "--model tiny --dataset shapes"
    assert f"run `layerhouse probe {named}`" in str(refused.value)
    assert f"`layerhouse answers import FILE {named}`" in str(refused.value)
    assert "extract" not in str(refused.value)
    with pytest.raises(LayerhouseError) as refused:
        report(lake, tmp_path / "report.html")
    assert f"run `layerhouse probe {named}` and `layerhouse diagnose {named}`" in str(refused.value)
    assert "extract" not in str(refused.value)


def test_probes_that_stand_for_no_stage_are_told(tmp_path):
    """Such as of the readouts that another program took: averages over a prompt's tokens."""
    lake = dataset_lake(tmp_path, np.arange(40) // 4 % 2, ["train", "val", "test", "test"] * 10)
    vectors = np.random.default_rng(0).normal(size=(40, 4))
    add_activations(lake, {("llm", 0, "mean"): vectors})
    probe(lake, MODEL, "shapes", seeds=1)
    with pytest.raises(LayerhouseError, match="on shapes can stand for a stage, and no answers"):
        diagnose(lake, MODEL, "shapes")


@pytest.mark.parametrize(
    ("options", "words"),
    [({"n_resamples": 10}, "at least 100 resamples"), ({"margin": 1.5}, "not 1.5")],
)
def test_impossible_options_are_refused(small, options, words):
    with pytest.raises(UsageError, match=words):
        diagnose(small, "tiny", "shapes", **options)


@pytest.fixture
def spoken(tmp_path):
    """Two models with replies and likelihoods; the first's likelihoods are all wrong."""
    signals = Signals(methods=("likelihood", "generate"))
    lake = synthetic_lake(tmp_path / "lake", {"m": signals, "n": signals}, n_samples=200)
    with connect(lake) as wh:
        wrong = wh.sql(
            "SELECT * EXCLUDE run_id REPLACE ('letters' AS prompt_id, (predicted_class_index + 1) "
            "% 4 AS predicted_class_index) FROM answer WHERE model_id = 'm'"
        ).to_arrow_table()
    with RunWriter(lake, RunSpec("extract", "m", "shapes", {"sweep": True})) as writer:
        writer.commit({"answer": wrong})
        writer.finish()
    return lake


@pytest.mark.slow
def test_the_answer_that_is_diagnosed_is_chosen_and_stays_so(spoken):
    whole = diagnose(spoken, "m", "shapes", n_resamples=100)
    assert str(whole.answer) == "generate to the prompt default, 50 test samples"
    for choice, named, prompt in (
        (Choice("likelihood"), "likelihood", "default"),
        (Choice(prompt_id="letters"), "likelihood", "letters"),
        (Choice(), "likelihood", "letters"),
        (Choice("auto"), "generate", "letters"),
        (Choice(prompt_id="auto"), "generate", "default"),
    ):
        found = diagnose(spoken, "m", "shapes", n_resamples=100, choice=choice)
        assert (found.answer.method, found.answer.prompt_id) == (named, prompt)
        is_wrong = prompt == "letters"
        assert (found.answered < 0.2) == is_wrong
        assert (found.verdict == "semantic_mapping") == is_wrong
        assert all(row.lower is not None for row in found.rows), "the intervals are its own"
    again = diagnose(spoken, "m", "shapes", n_resamples=100, choice=Choice("generate"))
    assert again.rows == whole.rows


def test_an_answer_that_is_not_there_is_no_choice(spoken):
    before = len(list_commits(spoken))
    for choice, words in (
        (Choice("imported:api"), "by imported:api to the prompt default"),
        (Choice("calibrated"), "by calibrated to the prompt default"),
        (Choice("generate", "clinical"), "by generate to the prompt clinical"),
    ):
        with pytest.raises(UsageError, match=words) as raised:
            diagnose(spoken, "m", "shapes", choice=choice)
        assert "holds: generate to default, generate to letters, like" in str(raised.value)
    assert len(list_commits(spoken)) == before


@pytest.mark.slow
def test_answers_from_elsewhere_are_none_to_a_prompt(spoken):
    with connect(spoken) as wh:
        brought = wh.sql(
            "SELECT * EXCLUDE run_id REPLACE ('imported:api' AS method) FROM answer "
            "WHERE model_id = 'm' AND method = 'likelihood' AND prompt_id = 'default'"
        ).to_arrow_table()
    with RunWriter(spoken, RunSpec("answers-import", "m", "shapes")) as writer:
        writer.commit({"answer": brought})
        writer.finish()
    for choice in (Choice(prompt_id="nonsense"), Choice("imported:api", "letters")):
        with pytest.raises(UsageError, match="imported:api, likelihood to default"):
            diagnose(spoken, "m", "shapes", choice=choice)
    found = diagnose(spoken, "m", "shapes", n_resamples=100, choice=Choice("imported:api"))
    assert str(found.answer) == "imported:api, 50 test samples"


@pytest.mark.slow
def test_answers_of_two_kinds_are_compared_with_a_word(spoken):
    assert compare(spoken, "m", "n", "shapes", n_resamples=100).note is None
    diagnose(spoken, "n", "shapes", n_resamples=100, choice=Choice("likelihood"))
    note = compare(spoken, "m", "n", "shapes", n_resamples=100).note
    assert "m by generate to the prompt default, 50 test samples, n by likelihood" in note
    with connect(spoken) as wh:
        asked = "SELECT DISTINCT answer_method, base_answer_method, prompt_id FROM mart_model_pairs"
        assert wh.sql(asked).fetchall() == [("generate", "likelihood", "default")]
