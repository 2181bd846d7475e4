"""A dataset evaluated by folds: every sample is predicted, and chosen for, by what never saw it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.baselines.images import read_images
from analysis.baselines.training import baseline
from analysis.bootstrap import bootstrap_weights, weighted_means
from analysis.diagnosis.diagnosing import diagnose
from analysis.diagnosis.evidence import read_evidence
from analysis.probes import LinearProbe, fit_linear, probe
from analysis.probes.activations import read_cells, read_vectors
from analysis.probes.probe_kind import Fits, LabelledVectors, ProbeData
from analysis.probes.targets import shuffled_labels
from bench.bench_folds import World, coverage
from extract.datasets.folding import deal
from tests.analysis.activation_lake import DATASET, MODEL, add_activations, dataset_lake, drawn
from warehouse.catalogue.folds import rotate
from warehouse.catalogue.refreshing import connect, open_tables
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter
from warehouse.vocabulary import N_REPETITIONS, Cell

K = 3
CLASSES = np.random.default_rng(0).permutation(np.arange(90) % 3)
PLACES = {
    ("vision", 1, "mean"): 0.3,
    ("connector", 0, "mean"): 0.3,
    ("llm", 0, "mean"): 0.25,
    ("llm", 0, "last"): 0.2,
}
VECTORS = {
    place: drawn(CLASSES, 12, seed, strength)
    for seed, (place, strength) in enumerate(PLACES.items())
}


def folded_lake(path: Path, uris: list[str] | None = None) -> Lake:
    lake = dataset_lake(path, CLASSES, ["test"] * len(CLASSES), uris)
    deal_to_folds(lake)
    return lake


def deal_to_folds(lake: Lake) -> None:
    with open_tables(lake) as wh:
        samples = wh.sql("SELECT * EXCLUDE (run_id) FROM sample ORDER BY sample_id").pl().to_dicts()
        (facts,) = wh.sql("SELECT * EXCLUDE (run_id) FROM dataset").pl().to_dicts()
    facts |= {"evaluation": "folds", "n_folds": K}
    with RunWriter(lake, RunSpec("datasets-add", None, DATASET, {"folds": K})) as writer:
        rested = [{**row, "split": "test"} for row in samples]
        tables = {"dataset": [facts], "sample": rested, "sample_fold": deal(samples, K)}
        writer.commit(tables, finished=True)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Probed by folds; no test here may add to it but diagnoses."""
    lake = folded_lake(tmp_path_factory.mktemp("folds") / "lake")
    add_activations(lake, VECTORS)
    assert probe(lake, MODEL, DATASET, controls=[]).n_probes == N_REPETITIONS * len(PLACES)
    return lake


def rows(lake: Lake, query: str) -> list[tuple]:
    with connect(lake) as wh:
        return wh.sql(query).fetchall()


def logits(lake: Lake, place: tuple[str, int, str], seed: int, split: str) -> np.ndarray:
    """What a probe of the true labels says as val or as test: [n samples, n classes]."""
    query = (
        "SELECT logits FROM probe_logit JOIN probe USING (probe_id) WHERE control = 'none' "
        f"AND (module, layer, readout) = {place} AND seed = {seed} AND split = '{split}' "
        "ORDER BY sample_id"
    )
    return np.array([row[0] for row in rows(lake, query)])


def test_every_sample_is_predicted_once_as_val_and_once_as_test(lake: Lake) -> None:
    per_probe = "SELECT split, count(DISTINCT sample_id), count(*) FROM probe_logit"
    assert set(rows(lake, f"{per_probe} GROUP BY probe_id, split")) == {
        ("val", 90, 90),
        ("test", 90, 90),
    }
    assert rows(lake, "SELECT DISTINCT n_train, n_val, n_test FROM probe") == [(30, 90, 90)]
    with pytest.raises(UsageError, match="4 at most, not 5"):
        probe(lake, MODEL, DATASET, seeds=5)
    assert not probe(lake, MODEL, DATASET, controls=[]).added


@pytest.mark.parametrize("seed", [0, 3])
def test_a_fold_is_scored_by_what_was_trained_without_it_and_chose_on_the_next(
    lake: Lake, seed: int
) -> None:
    place = Cell("vision", 1, "mean")
    with connect(lake) as wh:
        _, samples = read_cells(wh, MODEL, DATASET)
        vectors = read_vectors(wh, MODEL, DATASET, [place], samples)
    assert samples.folds is not None
    fold = samples.folds[seed]
    labels = torch.from_numpy(samples.class_index)
    probe_kind = LinearProbe()
    for own in range(K):
        chosen_on = (own + 1) % K
        train, val, test = (
            torch.from_numpy(mask)
            for mask in (~np.isin(fold, [own, chosen_on]), fold == chosen_on, fold == own)
        )
        parts = [
            LabelledVectors(vectors[:, mask].to(probe_kind.dtype), labels[None, mask])
            for mask in (train, val)
        ]
        fits = fit_linear(*parts, vectors[:, test].to(probe_kind.dtype), 3)
        stored = {split: logits(lake, tuple(place), seed, split) for split in ("val", "test")}
        np.testing.assert_allclose(fits.test_logits[0, 0], stored["test"][test], atol=1e-4)
        np.testing.assert_allclose(fits.val_logits[0, 0], stored["val"][val], atol=1e-4)


def test_the_control_is_shuffled_among_all_samples(lake: Lake) -> None:
    with connect(lake) as wh:
        _, samples = read_cells(wh, MODEL, DATASET)
    first, second = (shuffled_labels(samples, DATASET, seed) for seed in range(2))
    for labels in (first, second):
        np.testing.assert_array_equal(np.sort(labels), np.sort(samples.class_index))
    assert (first != second).any()
    assert (first != samples.class_index).any()


def chosen_by_hand(lake: Lake, candidates: list[tuple[str, int, str]]) -> np.ndarray:
    """The share of repetitions [n samples] that are right where each fold chooses on the others."""
    with connect(lake) as wh:
        _, samples = read_cells(wh, MODEL, DATASET)
    assert samples.folds is not None
    right = np.zeros((N_REPETITIONS, len(CLASSES)))
    for seed, fold in enumerate(samples.folds):
        said = {
            place: [logits(lake, place, seed, split).argmax(1) for split in ("val", "test")]
            for place in candidates
        }
        for own in range(K):
            others, mine = fold != own, fold == own
            scores = [
                (said[place][0][others] == samples.class_index[others]).mean()
                for place in candidates
            ]
            best = candidates[int(np.argmax(scores))]  # of equals the first: the latest locus
            right[seed, mine] = said[best][1][mine] == samples.class_index[mine]
    return right.mean(0)


def test_each_fold_chooses_without_its_own_samples(lake: Lake) -> None:
    later = [("llm", 0, "last"), ("llm", 0, "mean"), ("connector", 0, "mean")]
    expected = {
        "vision": chosen_by_hand(lake, [*later, ("vision", 1, "mean")]),
        "connector": chosen_by_hand(lake, later),
        "llm": chosen_by_hand(lake, later[:1]),
    }
    found = dict(rows(lake, "SELECT stage, test_accuracy FROM stage_signal"))
    assert found == {stage: pytest.approx(right.mean()) for stage, right in expected.items()}
    with connect(lake) as wh:
        evidence = read_evidence(wh, MODEL, DATASET)
    for stage, right in expected.items():
        np.testing.assert_allclose(evidence.correct[evidence.rows[evidence.chosen[stage]]], right)
    n_choices = "SELECT stage, count(*) FROM fold_choice GROUP BY stage"
    assert dict(rows(lake, n_choices)) == dict.fromkeys(expected, K * N_REPETITIONS)
    single = rows(lake, "SELECT count(*), count(DISTINCT sample_id) FROM stage_prediction")
    assert single == [(3 * 90, 90)]


@pytest.mark.slow
def test_intervals_are_wider_than_the_bootstraps_own(lake: Lake) -> None:
    diagnose(lake, MODEL, DATASET, n_resamples=300)
    with connect(lake) as wh:
        evidence = read_evidence(wh, MODEL, DATASET)
    ((lower, upper, point),) = rows(
        lake,
        "SELECT lower, upper, point FROM stage_interval "
        "WHERE stage = 'llm' AND quantity = 'accuracy'",
    )
    assert rows(lake, "SELECT bool_and(is_fresh) FROM loss_interval WHERE stage <> 'total'") == [
        (True,)
    ]
    assert evidence.widening == pytest.approx(1 + 3.5 / np.sqrt(90))
    weights, groups = bootstrap_weights(evidence.groups, 300, 0)
    right = evidence.correct[evidence.rows[evidence.chosen["llm"]]]
    plain = np.quantile(weighted_means(right, weights, groups), [0.025, 0.975])
    assert [lower, upper] == pytest.approx(
        right.mean() + evidence.widening * (plain - right.mean())
    )
    assert point == pytest.approx(right.mean())
    assert replace(evidence, is_folded=False).widening == 1


def health(lake: Lake) -> list[tuple]:
    return rows(
        lake,
        "SELECT feature_health.health_score, mart_model_health.health_score, point, "
        "health_lower, health_upper FROM feature_health "
        "JOIN health_interval USING (model_id, dataset_id, module, track) "
        "JOIN mart_model_health USING (model_id, dataset_id, module, track)",
    )


def test_health_is_resampled_from_what_was_scored_and_not_from_what_was_chosen_on(
    lake: Lake,
) -> None:
    diagnose(lake, MODEL, DATASET, n_resamples=200)
    found = health(lake)
    assert len(found) == 4  # vision, connector, and two tracks of the llm
    for score, shown, point, lower, upper in found:
        assert shown == score
        assert point == pytest.approx(score, abs=1e-12)
        assert lower < score < upper


@pytest.mark.slow
def test_intervals_of_other_health_scores_are_not_shown_and_made_anew(lake: Lake) -> None:
    """As those of an earlier version are, which took predictions on val for scored ones."""
    done = diagnose(lake, MODEL, DATASET, n_resamples=250)
    with connect(lake) as wh:
        ((config,),) = wh.sql("SELECT config FROM run WHERE run_id = $1", [done.run_id]).fetchall()
        tables = {
            table: wh.sql(f"SELECT * EXCLUDE (run_id) FROM {table}").pl().to_dicts()
            for table in ("stage_interval", "health_interval")
        }
    for row in tables["health_interval"]:
        row["point"] += 0.01
    older = RunSpec("diagnose", MODEL, DATASET, json.loads(config) | {"replaces": done.run_id})
    with RunWriter(lake, older) as writer:
        writer.commit(tables, finished=True)
    assert {(lower, upper) for *_, lower, upper in health(lake)} == {(None, None)}
    assert diagnose(lake, MODEL, DATASET, n_resamples=250).added
    assert all(lower < score for score, _, _, lower, _ in health(lake))
    assert not diagnose(lake, MODEL, DATASET, n_resamples=250).added


@pytest.mark.slow
def test_baselines_predict_every_image_out_of_fold(tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    uris = []
    for i, label in enumerate(CLASSES):
        stripes = 100 * (np.arange(32)[:, None] // 2 ** int(label) % 2)
        uris.append(str(tmp_path / f"{i}.png"))
        shades = (stripes + rng.integers(0, 90, (32, 32))).astype(np.uint8)
        Image.fromarray(shades).save(uris[-1])
    lake = folded_lake(tmp_path / "lake", uris)
    done = baseline(lake, DATASET, "texture-svm", seed=1)
    assert done.test_accuracy > 0.8
    found = rows(lake, "SELECT split, count(DISTINCT sample_id) FROM baseline_logit GROUP BY split")
    assert dict(found) == {"val": 90, "test": 90}
    assert rows(lake, "SELECT n_train, n_val, n_test FROM baseline") == [(30, 90, 90)]
    with connect(lake) as wh:
        images = read_images(wh, DATASET)
    assert images.folds is not None
    for rotation in rotate(images.folds[1], K):
        parts = [set(part.tolist()) for part in rotation]
        assert set.union(*parts) == set(range(90))
        assert sum(map(len, parts)) == 90
    with pytest.raises(UsageError, match="from 0, not 4"):
        baseline(lake, DATASET, "texture-svm", seed=4)


def regroup(lake: Lake) -> None:
    with connect(lake) as wh:
        samples = wh.sql("SELECT * EXCLUDE (run_id) FROM sample").pl().to_dicts()
    with RunWriter(lake, RunSpec("datasets-add", None, DATASET, {"groups": "one"})) as writer:
        writer.commit({"sample": [{**row, "group_id": "one"} for row in samples]}, finished=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (deal_to_folds, "dealt to folds"),
        pytest.param(regroup, "put into other groups", marks=pytest.mark.slow),
    ],
)
def test_probes_of_a_split_are_not_added_once_its_samples_are_others(
    tmp_path: Path, change: Callable[[Lake], None], said: str
) -> None:
    """By another process, while the first chunk of them was fitted."""
    changed: list[Callable[[Lake], None]] = []
    splits = ["train", "val", "test"] * 30
    lake = dataset_lake(tmp_path / "lake", CLASSES, splits)
    add_activations(lake, VECTORS)

    class Slow(LinearProbe):
        def fit(self, data: ProbeData) -> Fits:
            if not changed:
                changed.append(change)
                change(lake)
            return super().fit(data)

    with pytest.raises(LayerhouseError, match=rf"{said} meanwhile.*run layerhouse probe"):
        probe(lake, MODEL, DATASET, kind=Slow(), controls=[])
    assert rows(lake, "SELECT count(*) FROM probe") == [(0,)]
    repetitions = N_REPETITIONS if change is deal_to_folds else 1
    assert probe(lake, MODEL, DATASET, controls=[]).n_probes == repetitions * len(PLACES)


@pytest.mark.slow
def test_widened_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = coverage(World(100, 2), n_sets=200, n_folds=5)
    assert min(held["widened"]) > 0.9
    assert max(held["plain"]) < 0.92


@pytest.mark.slow
def test_under_balanced_accuracy_they_are_widened_by_what_recalls_deviate_more() -> None:
    held = coverage(World(150, 4, shares=(0.56, 0.2, 0.14, 0.1)), n_sets=150, n_folds=5)
    assert min(held["widened"]) > 0.9
    assert max(held["plain"]) < 0.92
