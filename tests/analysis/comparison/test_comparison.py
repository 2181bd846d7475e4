"""Two models on the same test samples: what the paired interval says of their difference."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.bootstrap import bootstrap_weights, weighted_means
from analysis.comparison import compare, compare_all
from analysis.diagnosis.diagnosing import read_evidence
from layerhouse.cli import main
from tests.lakes import MadeUpDataset, Signals, synthetic_lake, write_model
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError, UsageError

LOSING = Signals.losing
MODELS = {
    "tiny": LOSING(),
    "tiny+fault:swap@connector:0.5": LOSING(connector=0.3),
    "tiny+adapter:lora": LOSING(answer=0.1),
    "unlike": LOSING(),
}
FAULTY, ADAPTED = "tiny+fault:swap@connector:0.5", "tiny+adapter:lora"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return synthetic_lake(tmp_path_factory.mktemp("lake"), MODELS, n_samples=400, group_size=2)


@pytest.fixture(scope="module")
def compared(lake):
    return {c.pair.model_id: c for c in compare_all(lake, n_resamples=500)[0]}


def rows(comparison):
    return {(row.stage, row.quantity): row for row in comparison.rows}


def test_every_model_is_compared_with_what_it_came_from(compared):
    assert {(model_id, c.pair.base_model_id) for model_id, c in compared.items()} == {
        (FAULTY, "tiny"),
        (ADAPTED, "tiny"),
    }


def test_the_difference_lies_where_the_models_differ(compared):
    differs = {
        model_id: {key for key, row in rows(c).items() if key[1] == "loss" and row.lower > 0}
        for model_id, c in compared.items()
    }
    assert differs == {FAULTY: {("connector", "loss")}, ADAPTED: {("answer", "loss")}}
    answer = compared[FAULTY].answer
    assert answer.difference == pytest.approx(-0.3, abs=0.02)
    assert answer.lower < -0.3 < answer.upper < 0


def test_every_number_of_both_models_has_its_interval(compared):
    assert set(compared) == {FAULTY, ADAPTED}
    for comparison in compared.values():
        assert len(comparison.rows) == 12
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
    with pytest.raises(LayerhouseError, match="not all of them the same: run `layerhouse extract`"):
        compare(uneven, ADAPTED, "tiny", "shapes")
    with pytest.raises(LayerhouseError, match="not all of them the same"):
        compare_all(uneven, [ADAPTED])


@pytest.mark.slow
def test_a_pair_that_cannot_be_compared_leaves_the_others_alone(uneven, capsys):
    done, left_out = compare_all(uneven, n_resamples=200)
    assert [c.pair.model_id for c in done] == [FAULTY]
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
