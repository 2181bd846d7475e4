"""Probes of attributes and of control tasks, on vectors that hold exactly what they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from analysis.measures import add_attribute, add_control_task
from analysis.measures.targets import random_classes
from layerhouse.cli.probe import command
from tests.analysis.activation_lake import DATASET, MODEL, add_activations, dataset_lake
from tests.analysis.probes.test_probe_command import rows
from tests.lakes import rest_on
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunSpec, RunWriter

N, N_SITES = 240, 12
RNG = np.random.default_rng(0)
CLASSES = RNG.permutation(np.arange(N) % 2)
SPLITS = np.array(["train", "train", "val", "test"])[np.arange(N) % 4]
SITES = RNG.integers(N_SITES, size=N)
VIEWS = np.where(CLASSES == 0, RNG.integers(3, size=N) > 0, RNG.integers(3, size=N) == 0)
SEEN, BLIND = ("vision", 0, "mean"), ("connector", 0, "mean")
"""Where site and view can be read to the last sample, and where only the class can."""
VECTORS = {
    SEEN: np.hstack([np.eye(N_SITES)[SITES] * 6, VIEWS[:, None] * 6])
    + 0.1 * RNG.standard_normal((N, N_SITES + 1)),
    BLIND: np.hstack([CLASSES[:, None] * 6, 0.1 * RNG.standard_normal((N, 5))]),
}
COLUMNS = {
    "view": ["ap" if view else "lateral" for view in VIEWS],
    "site": [f"s{site:02d}" for site in SITES],
    "finding": [f"c{one}" for one in CLASSES],
    "age": [str(20 + i % 60) for i in range(N)],
    "name": [f"image {i}" for i in range(N)],
    "folder": [f"{SPLITS[i]}-{i % 5}" for i in range(N)],
    "vendor": ["one"] * N,
}


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake whose site and view were probed by the command, twice."""
    lake = made(tmp_path_factory.mktemp("targets") / "lake")
    asked = ["--model", MODEL, "--dataset", DATASET, "--lake", str(lake.root), "--seeds", "3"]
    more = ["--target", "view", "--target", "finding", "--target", "age", "--control-task", "site"]
    for options in (more, more[-2:]):
        result = CliRunner().invoke(command, [*asked, *options], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert "The lake holds the control task site." in result.output
    return lake


def made(path: Path) -> Lake:
    """Samples with the columns as attributes, and their vectors."""
    lake = dataset_lake(path, CLASSES, SPLITS)
    own = [
        {"dataset_id": DATASET, "sample_id": f"image-{i:05d}", "name": name, "value": value}
        for name, values in COLUMNS.items()
        for i, value in enumerate(values)
        if (name, i) != ("view", 3)
    ]
    with RunWriter(lake, RunSpec("datasets", None, DATASET, {"attributes": True})) as writer:
        writer.commit({"sample_attribute": own})
        writer.finish()
    add_activations(lake, {place: own.astype(np.float32) for place, own in VECTORS.items()})
    return lake


def test_an_attribute_is_read_where_it_is_and_nowhere_else(probed: Lake) -> None:
    query = "SELECT module, n_test, test_accuracy FROM nuisance_flow WHERE attribute = 'view'"
    found = {module: (n, accuracy) for module, n, accuracy in rows(probed, query)}
    n_known = int((SPLITS == "test").sum()) - 1  # one has no view, and is left out
    assert found["vision"] == (n_known, 1.0)
    # The class tells the view of two samples in three, and nothing here tells more.
    truth = VIEWS[[i for i in np.flatnonzero(SPLITS == "test") if i != 3]]
    by_class = CLASSES[[i for i in np.flatnonzero(SPLITS == "test") if i != 3]] == 0
    assert found["connector"] == (n_known, pytest.approx((truth == by_class).mean(), abs=0.05))


def test_an_attribute_that_is_the_class_has_the_very_scores_of_the_class(probed: Lake) -> None:
    query = (
        "SELECT module, test_accuracy - class_accuracy, signal - class_signal, alone_accuracy, "
        "within_chance FROM nuisance_flow WHERE attribute = 'finding' ORDER BY depth"
    )
    assert rows(probed, query) == [("vision", 0, 0, 1, 1), ("connector", 0, 0, 1, 1)]


def test_what_is_read_within_the_strata_is_what_the_attribute_does_not_tell(probed: Lake) -> None:
    query = (
        "SELECT module, class_signal, within_signal FROM nuisance_flow "
        "WHERE attribute = 'view' ORDER BY depth"
    )
    (_, seen, within), (_, whole, all_of_it) = rows(probed, query)
    assert seen > 0.2  # the view tells the class of two samples in three
    assert within <= 0  # and is all that tells it there
    assert (whole, all_of_it) == (1, 1)


def test_a_random_class_per_site_is_learnt_by_heart_where_the_site_can_be_read(
    probed: Lake,
) -> None:
    query = "SELECT module, layer, readout, control_task_accuracy FROM signal_flow"
    found = {tuple(place): share for *place, share in rows(probed, query)}
    assert found[SEEN] == 1
    assert found[BLIND] < 0.75
    seeds = "SELECT DISTINCT seed, n_labels FROM target_probe WHERE target = 'control_task:site'"
    assert sorted(rows(probed, seeds)) == [(0, 2), (1, 2), (2, 2)]


def test_a_control_task_is_fitted_anew_where_the_score_is_another(tmp_path: Path) -> None:
    lake = made(tmp_path / "lake")

    def measured() -> int:
        return add_control_task(lake, MODEL, DATASET, attribute="site", seeds=1)

    assert measured() == 2
    rest_on(lake, "balanced_accuracy", DATASET)
    assert (measured(), measured()) == (2, 0)
    fitted = (
        "SELECT json_extract_string(run.config, '$.settings.score') "
        "FROM target_probe INNER JOIN run USING (run_id)"
    )
    assert rows(lake, fitted) == [("balanced_accuracy",)] * 2, "the older ones are replaced"


def test_numbers_are_read_in_ten_parts_that_are_named(probed: Lake) -> None:
    query = "SELECT DISTINCT label_index, value FROM attribute_label WHERE attribute = 'age'"
    found = sorted(rows(probed, query))
    assert [label for label, _ in found] == list(range(10))
    assert (found[0][1], found[-1][1]) == ("20 to 25", "74 to 79")


def test_random_classes_are_the_same_for_everyone_and_as_frequent_as_the_classes() -> None:
    types = [f"t{i}" for i in range(4000)]
    shares = np.array([0.7, 0.2, 0.1])
    first, again, other = (random_classes(types, shares, seed) for seed in ("a", "a", "b"))
    assert first == again != other
    counts = np.bincount(list(first.values()), minlength=3) / len(types)
    np.testing.assert_allclose(counts, shares, atol=0.025)
    assert first == random_classes(types[::-1], shares, "a")
    for seed in map(str, range(50)):
        assert len(set(random_classes(["x", "y"], np.array([0.99, 0.01]), seed).values())) == 2


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("folder", "train shows the values of 0 of 60 test samples"),
        ("group_id", "each of its 240 values is of one sample"),
        ("vendor", "train shows one value of it only"),
    ],
)
def test_a_control_task_without_recurring_types_is_refused(
    probed: Lake, attribute: str, message: str
) -> None:
    with pytest.raises(LayerhouseError, match=message):
        add_control_task(probed, MODEL, DATASET, attribute=attribute)


def test_what_cannot_be_probed_is_refused(probed: Lake) -> None:
    for attribute, message in {
        "vendor": "the same value everywhere",
        "name": "nearly one value per image",
        "width": "the same value everywhere",
    }.items():
        with pytest.raises(LayerhouseError, match=message):
            add_attribute(probed, MODEL, DATASET, attribute=attribute)
    with pytest.raises(UsageError, match="no attribute 'viw'; did you mean view"):
        add_attribute(probed, MODEL, DATASET, attribute="viw")
