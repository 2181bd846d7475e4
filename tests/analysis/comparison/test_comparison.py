"""Two models on the same test samples: what the paired interval says of their difference."""

import re
from dataclasses import replace

import numpy as np
import pytest

from analysis.bootstrap import bootstrap_weights, weighted_means
from analysis.comparison import compare, compare_all
from analysis.comparison.comparing import _comparison_config, _interval_rows
from analysis.comparison.ranking import auroc
from analysis.comparison.sameness import Pair, require_same_fits
from analysis.diagnosis.diagnosing import read_evidence
from layerhouse.cli import main
from tests.lakes import MadeUpDataset, Signals, synthetic_lake, write_model
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import RunSpec, RunWriter

LOSING = Signals.losing
MODELS = {
    "tiny": LOSING(),
    "tiny+fault:swap@connector:0.5": LOSING(connector=0.3),
    "tiny+adapter:lora": LOSING(answer=0.1),
    "unlike": LOSING(),
    "tiny+mend:llm/lora": LOSING(connector=0.05),
}
FAULTY, ADAPTED, MENDED = [name for name in MODELS if "+" in name]
REPAIR = {"base_model_id": FAULTY, "stage": "llm", "repair": "lora", "control": "none"}
REPAIR |= {"n_parameters": 80, "n_train": 200, "n_epochs": 8, "best_epoch": 3, "seconds": 12.0}
REPAIR |= {"val_score_before": 0.5, "val_score": 0.9, "val_loss_before": 1.0, "val_loss": 0.2}

UNSAID = ["label_logprobs", "text", "finish_reason", "n_tokens", "raw_text", "options"]
UNSAID += ["label_logprobs_per_token", "label_pmi", "end_token"]
"""What is not known of an answer from elsewhere."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = synthetic_lake(tmp_path_factory.mktemp("lake"), MODELS, n_samples=400, group_size=2)
    with RunWriter(lake, RunSpec("mend", MENDED, "shapes", {})) as writer:
        row = {"model_id": MENDED, "dataset_id": "shapes", "score": "accuracy", **REPAIR}
        writer.commit({"mend": [row]})
        writer.finish()
    return lake


@pytest.fixture(scope="module")
def compared(lake):
    return {c.pair.model_id: c for c in compare_all(lake, n_resamples=500)[0]}


def rows(comparison):
    return {(row.stage, row.quantity): row for row in comparison.rows}


def test_every_model_is_compared_with_what_it_came_from(compared):
    assert {(model_id, c.pair.base_model_id) for model_id, c in compared.items()} == {
        (FAULTY, "tiny"),
        (ADAPTED, "tiny"),
        (MENDED, "tiny"),
    }


def test_the_difference_lies_where_the_models_differ(compared):
    differs = {
        model_id: {key for key, row in rows(c).items() if key[1] == "loss" and row.lower > 0}
        for model_id, c in compared.items()
    }
    assert differs == {FAULTY: {("connector", "loss")}, ADAPTED: {("answer", "loss")}} | {
        MENDED: {("connector", "loss")}
    }
    answer = compared[FAULTY].answer
    assert answer.difference == pytest.approx(-0.3, abs=0.02)
    assert answer.lower < -0.3 < answer.upper < 0


def test_every_number_of_both_models_has_its_interval(compared):
    assert set(compared) == {FAULTY, ADAPTED, MENDED}
    for comparison in compared.values():
        assert len(comparison.rows) == 13
        for row in comparison.rows:
            assert row.difference == pytest.approx(row.value - row.base_value, abs=1e-12)
            assert row.lower <= row.difference + 1e-9
            assert row.difference <= row.upper + 1e-9


def test_the_interval_is_the_paired_bootstrap_over_groups(lake, compared):
    """Once more from the correctness of each answer, without the code under test."""
    with connect(lake) as wh:
        sides = [read_evidence(wh, model_id, "shapes") for model_id in (FAULTY, "tiny")]
    right = [side.correct[side.rows[side.chosen["answer"]]] for side in sides]
    weights, index = bootstrap_weights(sides[0].groups, 500, 0)
    differences = weighted_means(right[0] - right[1], weights, index)[:, 0]
    answer = compared[FAULTY].answer
    assert (answer.lower, answer.upper) == pytest.approx(
        tuple(np.quantile(differences, [0.025, 0.975]))
    )


def test_how_well_likelihoods_rank_is_resampled_too(lake, compared):
    """Once more by counting pairs of samples, with numbers that are tied."""
    query = (
        "SELECT label_logprobs FROM diagnosed_answer JOIN sample USING (dataset_id, sample_id) "
        "WHERE method = 'likelihood' AND split = 'test' AND model_id = $1 ORDER BY sample_id"
    )
    with connect(lake) as wh:
        evidence = read_evidence(wh, "tiny", "shapes")
        said = [np.array(wh.sql(query, [name]).pl()[:, 0].to_list()) for name in (FAULTY, "tiny")]
        truth = wh.sql(
            "SELECT class_index FROM sample WHERE split = 'test' ORDER BY sample_id"
        ).pl()[:, 0]
    weights, index = bootstrap_weights(evidence.groups, 60, 3)
    labels = truth.to_numpy()
    one = np.round(np.exp(said[0]), 1)
    areas = []
    for drawn in weights[:, index]:
        of_classes = []
        for k in range(4):
            mine, others = one[labels == k, k][:, None], one[labels != k, k][None]
            won = (mine > others) + (mine == others) / 2
            of_pairs = np.outer(drawn[labels == k], drawn[labels != k])
            of_classes.append((won * of_pairs).sum() / of_pairs.sum())
        areas.append(np.mean(of_classes))
    assert auroc(one, labels, weights, index) == pytest.approx(areas, abs=1e-12)

    row = rows(compared[FAULTY])["answer", "auroc"]
    assert row.value < row.base_value
    assert row.lower < row.difference < row.upper < 0


def test_the_area_of_a_resample_is_a_mean_over_the_classes_that_it_holds():
    """Of class 0 three of four pairs are in order; one is with the sample of class 2."""
    probabilities = [[0.8, 0.1, 0.1], [0.4, 0.5, 0.1], [0.3, 0.6, 0.1], [0.5, 0.2, 0.3]]
    drawn = [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]]
    areas = auroc(np.array(probabilities), np.array([0, 0, 1, 2]), np.array(drawn), np.arange(4))
    assert areas.tolist() == pytest.approx([2.75 / 3, 1, np.nan], nan_ok=True)


def test_of_a_repair_the_shares_of_what_its_base_lost_are_resampled(lake):
    compare(lake, MENDED, FAULTY, "shapes", n_resamples=500)
    query = (
        "SELECT answered_after, round(stage_share, 9), round(total_share, 9), total_share_lower, "
        "total_share_upper, auroc_lower > 0, is_calibration FROM recovered_share"
    )
    with connect(lake) as wh:
        ((_, of_stage, of_all, lower, upper, *told),) = wh.sql(query).fetchall()
        sides = [read_evidence(wh, model_id, "shapes") for model_id in (MENDED, FAULTY)]
    assert of_stage is None  # the repaired stage loses nothing
    right = [side.correct[side.rows[side.chosen["answer"]]] for side in sides]
    best = sides[1].correct[sides[1].rows[sides[1].chosen["reference"]]]
    seen = sides[1].correct[sides[1].rows[sides[1].chosen["vision"]]]
    weights, index = bootstrap_weights(sides[0].groups, 500, 0)
    means = weighted_means([*right, best, seen], weights, index)
    reference = np.maximum(means[:, 2], means[:, 3])
    shares = (means[:, 0] - means[:, 1]) / (reference - means[:, 1])
    assert (lower, upper) == pytest.approx(tuple(np.quantile(shares, [0.025, 0.975])))
    assert lower < of_all < upper
    assert told == [True, False]


@pytest.mark.slow
def test_a_repair_without_replies_is_held_against_likelihoods(tmp_path):
    told = replace(LOSING(), modules=())
    mended = "tiny+mend:answer/prior"
    models = {"tiny": replace(told, unparsed=0.4), mended: replace(told, methods=("likelihood",))}
    lake = synthetic_lake(tmp_path / "lake", models, n_samples=200)
    with RunWriter(lake, RunSpec("mend", mended, "shapes", {})) as writer:
        row = {"model_id": mended, "dataset_id": "shapes", "score": "accuracy", **REPAIR}
        writer.commit({"mend": [row | {"base_model_id": "tiny", "stage": "answer"}]})
        writer.finish()
    compare(lake, mended, "tiny", "shapes", n_resamples=500)
    query = "SELECT method_before, gain, gain_lower, gain_upper FROM recovered_share"
    with connect(lake) as wh:
        ((method, gain, *interval),) = wh.sql(query).fetchall()
        replied = read_evidence(wh, "tiny", "shapes")
        sides = [read_evidence(wh, n, "shapes", answered_by="likelihood") for n in (mended, "tiny")]
    assert (method, replied.chosen["answer"][2]) == ("likelihood", "generate")
    right = [side.correct[side.rows[side.chosen["answer"]]] for side in sides]
    assert gain == pytest.approx(np.mean(right[0] - right[1]))
    weights, index = bootstrap_weights(replied.groups, 500, 0)
    differences = weighted_means(right[0] - right[1], weights, index)[:, 0]
    assert interval == pytest.approx(list(np.quantile(differences, [0.025, 0.975])))


@pytest.mark.slow
def test_a_second_time_there_is_nothing_to_add_until_the_options_change(lake, compared):
    again = compare(lake, FAULTY, "tiny", "shapes", n_resamples=500)
    assert not again.added
    assert again.rows == compared[FAULTY].rows
    other = compare(lake, FAULTY, "tiny", "shapes", n_resamples=500, seed=1)
    assert other.added
    assert other.answer.lower != again.answer.lower
    back = compare(lake, FAULTY, "tiny", "shapes", n_resamples=500)
    assert back.added
    assert back.rows == again.rows


def test_intervals_of_numbers_that_are_defined_otherwise_by_now_are_made_anew_once(tmp_path):
    """An older version stored them, of the very probes and answers that are there."""
    signals = {"tiny": LOSING(), "tiny+fault:swap@connector:0.3": LOSING(connector=0.3)}
    lake = synthetic_lake(tmp_path, signals, n_samples=200)
    pair = Pair("tiny+fault:swap@connector:0.3", "tiny", "shapes")
    with connect(lake) as wh:
        config = _comparison_config(wh, pair, 100, 0)
        stored = _interval_rows(wh, pair, 100, 0)
    for row in stored:
        row["point"] += 0.25
    with RunWriter(lake, RunSpec("compare", pair.model_id, "shapes", config)) as writer:
        writer.commit({"pair_interval": stored}, finished=True)
    found = [compare(lake, *pair.keys.values(), n_resamples=100) for _ in range(2)]
    assert [each.added for each in found] == [True, False]
    assert all(row.lower is not None for row in found[-1].rows)


def test_any_two_models_can_be_compared(lake):
    chosen = compare(lake, "unlike", "tiny", "shapes", n_resamples=200)
    with connect(lake) as wh:
        kinds = wh.sql(
            "SELECT DISTINCT pair_kind FROM mart_model_pairs WHERE model_id = 'unlike'"
        ).fetchall()
    assert kinds == [("chosen",)]
    assert chosen.answer.lower <= 0 <= chosen.answer.upper


def test_what_cannot_be_compared_is_one_sentence(lake, tmp_path):
    with pytest.raises(UsageError, match="no model 'tinny'; did you mean tiny"):
        compare(lake, "tinny", "tiny", "shapes")
    with pytest.raises(UsageError, match="cannot be compared with itself"):
        compare(lake, "tiny", "tiny", "shapes")
    with pytest.raises(UsageError, match="at least 100 resamples, not 5"):
        compare(lake, "unlike", "tiny", "shapes", n_resamples=5)
    alone = synthetic_lake(tmp_path / "alone", {"tiny": LOSING()}, n_samples=80)
    with pytest.raises(LayerhouseError, match="name two with --model and --base"):
        compare_all(alone)


def test_what_rests_on_answers_to_other_samples_is_not_compared(tmp_path):
    """The probes of both read all of test, and one has answers from elsewhere to some of it."""
    silent = {"tiny": replace(LOSING(), methods=()), FAULTY: replace(MODELS[FAULTY], methods=())}
    lake = synthetic_lake(tmp_path / "lake", silent, n_samples=400)
    data = MadeUpDataset.draw(n_samples=400)
    for model, step in (("tiny", 1), (FAULTY, 2)):
        said = [
            {"model_id": model, "dataset_id": "shapes", "sample_id": str(name), "parsed": True}
            | {"method": "imported:api", "predicted_class_index": int(label)}
            | dict.fromkeys(UNSAID)
            for name, label in list(zip(data.sample_ids, data.class_index, strict=True))[::step]
        ]
        with RunWriter(lake, RunSpec("answers-import", model, "shapes", {})) as writer:
            writer.commit({"answer": said}, finished=True)
    found = rows(compare(lake, FAULTY, "tiny", "shapes", n_resamples=200))
    assert {key for key in found if key[0] == "answer"} == set()
    assert found["connector", "loss"].lower > 0.2
    with connect(lake) as wh:
        kept = "SELECT DISTINCT stage FROM pair_interval WHERE quantity IN ('loss', 'accuracy')"
        assert ("answer",) not in wh.sql(kept).fetchall()


def test_a_model_without_probes_and_answers_is_refused(tmp_path):
    models = {"tiny": LOSING(), FAULTY: replace(LOSING(), modules=(), methods=())}
    lake = synthetic_lake(tmp_path / "lake", models, n_samples=80)
    with pytest.raises(LayerhouseError, match=r"neither probes nor answers of tiny\+fault"):
        compare(lake, FAULTY, "tiny", "shapes")


@pytest.fixture
def uneven(tmp_path):
    """A lake where one model has never seen one of the 20 test samples."""
    others = {name: signals for name, signals in MODELS.items() if name != ADAPTED}
    lake = synthetic_lake(tmp_path / "lake", others, n_samples=80)
    whole = MadeUpDataset.draw(n_samples=80)
    kept = np.arange(80) != np.flatnonzero(whole.split == "test")[-1]
    columns = ("sample_ids", "class_index", "split", "group_id", "difficulty")
    part = replace(whole, **{name: getattr(whole, name)[kept] for name in columns})
    write_model(lake, part, ADAPTED, MODELS[ADAPTED])
    return lake


def test_models_tested_on_other_samples_are_refused(uneven):
    adapted = "run `layerhouse extract --model tiny --adapter lora --dataset shapes` and"
    with pytest.raises(LayerhouseError, match=f"not all of them the same: {adapted}"):
        compare(uneven, ADAPTED, "tiny", "shapes")
    with pytest.raises(LayerhouseError, match="not all of them the same"):
        compare_all(uneven, [ADAPTED])


@pytest.mark.slow
def test_a_pair_that_cannot_be_compared_leaves_the_others_alone(uneven, capsys):
    done, left_out = compare_all(uneven, n_resamples=200)
    assert [c.pair.model_id for c in done] == [FAULTY, MENDED]
    assert [(left.pair.model_id, left.pair.base_model_id) for left in left_out] == [
        (ADAPTED, "tiny")
    ]
    with pytest.raises(SystemExit) as ended:
        main(["compare", "--resamples", "200", "--lake", str(uneven.root)])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert f"{FAULTY} minus tiny on shapes" in printed
    assert f"Left out: {ADAPTED} minus tiny, because {ADAPTED} was tested on 19 samples" in printed


@pytest.mark.slow
def test_a_single_test_group_leaves_nothing_to_resample(tmp_path):
    models = {"tiny": LOSING(), ADAPTED: LOSING()}
    lake = synthetic_lake(tmp_path / "lake", models, n_samples=80, group_size=20)
    with pytest.raises(LayerhouseError, match="needs at least 2 groups"):
        compare(lake, ADAPTED, "tiny", "shapes")


@pytest.mark.parametrize(("fits", "named"), [((True, False), FAULTY), ((False, True), "tiny")])
def test_probes_for_different_scores_are_not_set_side_by_side(lake, fits, named):
    pair = Pair(FAULTY, "tiny", "shapes")
    with connect(lake) as wh:
        sides = [read_evidence(wh, model, "shapes") for model in (FAULTY, "tiny")]
    assert [side.is_fitted_otherwise for side in sides] == [False, False]
    both = [replace(side, is_fitted_otherwise=fit) for side, fit in zip(sides, fits, strict=True)]
    said = re.escape(f"run `layerhouse probe --model {named} --dataset shapes`")
    with pytest.raises(LayerhouseError, match=f"fitted for different scores: {said}"):
        require_same_fits(pair, *both)
    require_same_fits(pair, *sides)
    require_same_fits(pair, both[0], replace(sides[1], is_fitted_otherwise=None))
