"""`probe` on a real lake: what it adds, what it leaves alone, what it refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from analysis.probes import LinearProbe, MlpProbe, ProbeSummary, probe
from analysis.probes.activations import read_cells
from analysis.probes.logistic.solver import Stop
from analysis.probes.targets import shuffled_labels
from tests.analysis import scores
from tests.analysis.activation_lake import (
    DATASET,
    MODEL,
    PLACES,
    add_activations,
    dataset_lake,
    drawn,
    labels_and_splits,
)
from warehouse.catalogue.refreshing import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.lake.standing import list_commits
from warehouse.status import status
from warehouse.vocabulary import BALANCED_ACCURACY

CLASSES, SPLITS = labels_and_splits(160, 4)
VECTORS = {place: drawn(CLASSES, width, seed) for seed, (place, width) in enumerate(PLACES.items())}


def unprobed(path: Path) -> Lake:
    lake = dataset_lake(path, CLASSES, SPLITS)
    add_activations(lake, VECTORS)
    return lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return unprobed(tmp_path / "lake")


@dataclass(frozen=True)
class Probed:
    lake: Lake
    summary: ProbeSummary


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Probed:
    """A lake whose linear probes are fitted; no test here may add to it."""
    lake = unprobed(tmp_path_factory.mktemp("probed") / "lake")
    return Probed(lake, probe(lake, MODEL, DATASET))


def rows(lake: Lake, query: str) -> list[tuple]:
    with connect(lake) as wh:
        return wh.sql(query).fetchall()


def test_every_locus_and_readout_gets_a_probe_and_a_control(probed: Probed) -> None:
    lake, summary = probed.lake, probed.summary
    assert (summary.added, summary.n_probes, summary.warnings) == (True, 6 * len(PLACES), ())
    found = rows(lake, "SELECT module, layer, readout, kind, control, seed FROM probe")
    assert sorted(found) == sorted(
        (*place, "linear", *target)
        for place in PLACES
        for target in [("none", 0), *(("shuffled_labels", seed) for seed in range(5))]
    )
    counts = rows(lake, "SELECT DISTINCT n_train, n_val, n_test FROM probe")
    assert counts == [(80, 40, 40)]
    per_probe = "SELECT split, count(*) FROM probe_logit GROUP BY probe_id, split"
    assert set(rows(lake, per_probe)) == {("val", 40), ("test", 40)}


def test_a_second_call_changes_nothing_and_says_so(probed: Probed) -> None:
    lake, first = probed.lake, probed.summary
    before = list_commits(lake)
    second = probe(lake, MODEL, DATASET)
    assert (second.added, second.n_probes, second.n_stored) == (False, 0, first.n_probes)
    assert second.run_id == first.run_id
    assert list_commits(lake) == before


@pytest.mark.slow
def test_only_what_is_missing_is_fitted(tmp_path: Path) -> None:
    lake = dataset_lake(tmp_path / "lake", CLASSES, SPLITS)
    add_activations(lake, {("vision", 0, "mean"): VECTORS["vision", 0, "mean"]})
    probe(lake, MODEL, DATASET, seeds=1)
    add_activations(lake, {("vision", 1, "cls"): VECTORS["vision", 1, "mean"]})
    assert probe(lake, MODEL, DATASET, seeds=1).n_probes == 2
    assert rows(lake, "SELECT count(*) FROM probe") == [(4,)]


@pytest.mark.slow
def test_more_seeds_add_more_shuffles(lake: Lake) -> None:
    probe(lake, MODEL, DATASET, controls=["none"])
    assert probe(lake, MODEL, DATASET, seeds=3).n_probes == 3 * len(PLACES)
    by_control = rows(lake, "SELECT control, count(*) FROM probe GROUP BY ALL ORDER BY ALL")
    assert by_control == [("none", len(PLACES)), ("shuffled_labels", 3 * len(PLACES))]


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_like_an_undisturbed_one(lake: Lake, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        assert done < total
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        probe(lake, MODEL, DATASET, seeds=1, progress=stop)
    (left,) = rows(lake, "SELECT count(*) FROM probe")[0]
    assert 0 < left < 2 * len(PLACES)
    assert probe(lake, MODEL, DATASET, seeds=1).n_probes == 2 * len(PLACES) - left
    other = dataset_lake(tmp_path / "other", CLASSES, SPLITS)
    add_activations(other, VECTORS)
    probe(other, MODEL, DATASET, seeds=1)
    query = "SELECT * EXCLUDE run_id FROM probe_logit ORDER BY probe_id, sample_id"
    with connect(lake) as a, connect(other) as b:
        left_frame, right_frame = a.sql(query).pl(), b.sql(query).pl()
    assert left_frame.drop("logits").equals(right_frame.drop("logits"))
    np.testing.assert_allclose(
        np.stack(left_frame["logits"].to_list()),
        np.stack(right_frame["logits"].to_list()),
        atol=1e-3,
    )
    status = rows(lake, "SELECT DISTINCT status FROM run WHERE command = 'probe'")
    assert status == [("finished",)]


def test_the_class_is_read_where_it_is_and_shuffled_labels_score_chance(tmp_path: Path) -> None:
    classes, splits = labels_and_splits(800, 4)
    lake = dataset_lake(tmp_path / "lake", classes, splits)
    add_activations(
        lake, {("vision", layer, "mean"): drawn(classes, 24, layer, 0.5) for layer in range(8)}
    )
    probe(lake, MODEL, DATASET, seeds=5)
    query = (
        "SELECT accuracy FROM probe_accuracy WHERE split = 'test' AND control = '{}' "
        "ORDER BY module, layer, readout, seed"
    )
    real = np.array(rows(lake, query.format("none")))
    control = np.array(rows(lake, query.format("shuffled_labels"))).reshape(8, 5)
    assert real.min() > 0.7
    # One permutation is shared by all loci, so seeds, not probes, are the independent draws.
    spread = control.mean(0).std(ddof=1) / 5**0.5
    assert abs(control.mean() - 0.25) < max(2 * spread, 0.02)


def test_views_and_metrics_define_the_same_scores(probed: Probed) -> None:
    lake = probed.lake
    with connect(lake) as wh:
        shown = wh.sql("FROM probe_accuracy WHERE split = 'test' ORDER BY probe_id").pl()
        logits = wh.sql(
            "SELECT l.probe_id, l.logits, s.class_index FROM probe_logit AS l "
            "INNER JOIN probe AS p ON l.probe_id = p.probe_id "
            "INNER JOIN sample AS s ON p.dataset_id = s.dataset_id AND l.sample_id = s.sample_id "
            "WHERE l.split = 'test' ORDER BY l.probe_id, l.sample_id"
        ).pl()
    truth = logits["class_index"].to_numpy().reshape(len(shown), -1)
    named = np.stack(logits["logits"].to_list()).argmax(1).reshape(len(shown), -1)
    labels = truth[0]
    chance = scores.chance(labels)
    for column, expected in {
        "accuracy": scores.accuracy(labels, named),
        "balanced_accuracy": scores.balanced_accuracy(labels, named),
        "macro_f1": scores.macro_f1(labels, named),
        "chance": np.full(len(shown), chance),
        "signal": scores.chance_corrected(scores.accuracy(labels, named), chance),
    }.items():
        np.testing.assert_allclose(shown[column].to_numpy(), expected, err_msg=column)


def test_shuffles_are_the_same_for_every_model_and_differ_between_seeds(lake: Lake) -> None:
    add_activations(lake, {("vision", 0, "mean"): drawn(CLASSES, 5, 9)}, model_id="other")
    with connect(lake) as wh:
        samples = [read_cells(wh, model, DATASET)[1] for model in (MODEL, "other")]
    first, second = (shuffled_labels(one, DATASET, 0) for one in samples)
    third = shuffled_labels(samples[0], DATASET, 1)
    for rows in map(samples[0].rows, ("train", "val")):
        np.testing.assert_array_equal(first[rows], second[rows])
        assert (first[rows] != third[rows]).any()
        true = samples[0].class_index[rows]
        assert (first[rows] != true).any()
        np.testing.assert_array_equal(np.sort(first[rows]), np.sort(true))


def rescore(lake: Lake, score: str) -> None:
    with connect(lake) as wh:
        (facts,) = wh.sql("SELECT * EXCLUDE (run_id) FROM dataset").pl().to_dicts()
    with RunWriter(lake, RunSpec("datasets-score", None, DATASET, {})) as writer:
        writer.commit({"dataset": [{**facts, "score": score}]}, finished=True)


@pytest.mark.slow
def test_probes_are_fitted_for_the_score_and_those_of_another_stand_in(tmp_path: Path) -> None:
    """Nine of ten samples are of class 0, whom a probe for accuracy therefore names."""
    classes = np.array([int(number % 10 == 0) for number in range(400)])
    splits = np.array(["train", "val", "test", "train"])[np.arange(400) // 10 % 4]
    lake = dataset_lake(tmp_path / "lake", classes, splits)
    place = ("vision", 0, "mean")
    add_activations(lake, {place: drawn(classes, 6, 0, 0.6)})
    seen = "SELECT p.score, accuracy, balanced_accuracy FROM scored_probe AS p JOIN "
    seen += "probe_accuracy USING (probe_id) WHERE split = 'test'"
    assert probe(lake, MODEL, DATASET, controls=["none"]).n_probes == 1
    (plain,) = rows(lake, seen)

    rescore(lake, BALANCED_ACCURACY)
    assert rows(lake, seen) == [plain]
    assert status(lake).pairs[0].extents[0].n_unprobed == 1
    assert probe(lake, MODEL, DATASET, controls=["none"]).n_probes == 1
    (balanced,) = rows(lake, seen)
    assert balanced[0] == BALANCED_ACCURACY
    assert balanced[2] > plain[2] + 0.1
    assert not probe(lake, MODEL, DATASET, controls=["none"]).added
    assert status(lake).pairs[0].extents[0].n_unprobed == 0


@pytest.mark.slow
def test_the_mlp_probe_is_stored_next_to_the_linear_one(lake: Lake) -> None:
    probe(lake, MODEL, DATASET, controls=["none"])
    mlp = MlpProbe(hidden=16, epochs=2)
    summary = probe(lake, MODEL, DATASET, kind=mlp, seeds=2)
    assert summary.n_probes == 4 * len(PLACES)
    found = rows(lake, "SELECT DISTINCT control, seed FROM probe WHERE kind = 'mlp' ORDER BY ALL")
    assert found == [("none", 0), ("none", 1), ("shuffled_labels", 0), ("shuffled_labels", 1)]
    assert not probe(lake, MODEL, DATASET, kind=mlp, seeds=2).added


def test_other_settings_are_refused_with_the_difference(probed: Probed) -> None:
    other = LinearProbe(stop=Stop(gradient=1e-6))
    with pytest.raises(LayerhouseError, match=r"stop\.gradient: 0\.0001 → 1e-06"):
        probe(probed.lake, MODEL, DATASET, kind=other)


def test_other_samples_are_refused_with_the_way_out(tmp_path: Path) -> None:
    lake = dataset_lake(tmp_path / "lake", CLASSES, SPLITS)
    place = ("vision", 0, "mean")
    add_activations(lake, {place: VECTORS[place]}, rows=range(100))
    summary = probe(lake, MODEL, DATASET)
    assert summary.warnings[0].startswith("only 100 of 160 samples")
    add_activations(lake, {place: VECTORS[place]}, rows=range(100, 160))
    with pytest.raises(LayerhouseError, match=rf"samples: .* runs remove {summary.run_id}`"):
        probe(lake, MODEL, DATASET)


def test_an_unknown_model_is_refused_with_the_nearest(probed: Probed) -> None:
    with pytest.raises(UsageError, match="did you mean made-up"):
        probe(probed.lake, "made-out", DATASET)


def test_an_unknown_dataset_is_refused_with_the_nearest(probed: Probed) -> None:
    with pytest.raises(UsageError, match="did you mean shapes"):
        probe(probed.lake, MODEL, "shape")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "liner"}, "did you mean linear"),
        ({"controls": ["shuffled"]}, "did you mean shuffled_labels"),
        ({"seeds": 0}, "at least one seed"),
    ],
)
def test_impossible_options_are_refused(probed: Probed, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        probe(probed.lake, MODEL, DATASET, **options)


def test_without_activations_the_command_that_adds_them_is_named(lake: Lake) -> None:
    dataset_lake(lake.root, CLASSES, SPLITS, dataset_id="more")
    with pytest.raises(
        LayerhouseError, match="`layerhouse extract --model made-up --dataset more`"
    ):
        probe(lake, MODEL, "more")


def test_loci_with_different_samples_are_refused_by_name(tmp_path: Path) -> None:
    lake = dataset_lake(tmp_path / "lake", CLASSES, SPLITS)
    add_activations(lake, {("vision", 0, "mean"): VECTORS["vision", 0, "mean"]})
    add_activations(lake, {("vision", 0, "cls"): VECTORS["vision", 0, "mean"]}, rows=range(90))
    with pytest.raises(LayerhouseError, match=r"vision layer 0, readout cls holds 90 samples"):
        probe(lake, MODEL, DATASET)


def test_a_split_without_samples_is_refused_by_name(tmp_path: Path) -> None:
    lake = dataset_lake(tmp_path / "lake", CLASSES, np.where(SPLITS == "val", "train", SPLITS))
    add_activations(lake, VECTORS)
    with pytest.raises(LayerhouseError, match="no sample of the split val"):
        probe(lake, MODEL, DATASET)


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    classes = np.where(SPLITS == "train", 0, CLASSES)
    lake = dataset_lake(tmp_path / "lake", classes, SPLITS)
    add_activations(lake, VECTORS)
    with pytest.raises(LayerhouseError, match="one class only"):
        probe(lake, MODEL, DATASET)
    assert rows(lake, "SELECT count(*) FROM probe") == [(0,)]


def test_two_widths_under_one_locus_are_refused_by_name(tmp_path: Path) -> None:
    lake = dataset_lake(tmp_path / "lake", CLASSES, SPLITS)
    place = ("vision", 0, "mean")
    add_activations(lake, {place: drawn(CLASSES, 12, 0)}, rows=range(80))
    add_activations(lake, {place: drawn(CLASSES, 10, 0)}, rows=range(80, 160))
    with pytest.raises(
        LayerhouseError, match=r"vision layer 0, readout mean holds vectors of different widths"
    ):
        probe(lake, MODEL, DATASET)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_locus_with_nan_or_inf_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: float
) -> None:
    """Our own writer refuses such rows; a shard of another's may hold them."""
    monkeypatch.setattr("warehouse.lake.shards._refuse_not_finite", lambda *_: None)
    lake = dataset_lake(tmp_path / "lake", CLASSES, SPLITS)
    spoilt = VECTORS["llm", 0, "last"].copy()
    spoilt[9, 3] = bad
    fine = VECTORS["vision", 0, "mean"]
    add_activations(lake, {("vision", 0, "mean"): fine, ("llm", 0, "last"): spoilt})
    with pytest.raises(LayerhouseError, match="llm layer 0, readout last holds NaN or Inf"):
        probe(lake, MODEL, DATASET)


@pytest.mark.slow
def test_duplicated_features_change_no_prediction_and_share_their_weight(tmp_path: Path) -> None:
    """Twice the columns at half the strength is the same problem; every copy weighs the same."""
    from analysis.measures import add_coefficients

    lake = dataset_lake(tmp_path / "lake", CLASSES, SPLITS)
    once = VECTORS["vision", 0, "mean"]
    add_activations(
        lake, {("vision", 0, "mean"): once, ("vision", 1, "mean"): np.hstack([once, once])}
    )
    assert probe(lake, MODEL, DATASET, controls=["none"]).warnings == ()
    add_coefficients(lake, MODEL, DATASET)
    logits = rows(
        lake,
        "SELECT layer, sample_id, logits FROM probe_logit JOIN probe USING (probe_id) "
        "ORDER BY layer, sample_id",
    )
    half = len(logits) // 2
    for (_, _, single), (_, _, double) in zip(logits[:half], logits[half:], strict=True):
        np.testing.assert_allclose(single, double, atol=5e-3)
    found = rows(
        lake,
        "SELECT coefficients FROM probe_coefficient JOIN probe USING (probe_id) WHERE layer = 1",
    )
    for (weights,) in found:
        np.testing.assert_allclose(weights[: once.shape[1]], weights[once.shape[1] :], atol=1e-4)


def test_what_fitting_chose_is_stored(probed: Probed) -> None:
    lake = probed.lake
    (text,) = rows(lake, "SELECT hyperparameters FROM probe LIMIT 1")[0]
    stored = json.loads(text)
    assert stored["chosen"]["converged"] is True
    assert len(stored["relative_penalties"]) >= 10
    assert stored["chosen"]["C"] > 0


def test_a_sample_stored_twice_is_refused_by_name(tmp_path: Path) -> None:
    lake = dataset_lake(tmp_path / "lake", CLASSES, SPLITS)
    place = ("vision", 0, "mean")
    add_activations(lake, {place: VECTORS[place]})
    add_activations(lake, {place: VECTORS[place]}, rows=[7])
    with pytest.raises(LayerhouseError, match="the sample image-00007 is stored twice"):
        probe(lake, MODEL, DATASET)
