"""What can be read besides the class: attributes along the pipeline, and random classes of them."""

import pytest

from tests.sql.conftest import insert

PLACE = {"model_id": "m", "dataset_id": "d", "module": "vision", "layer": 0, "readout": "mean"}
PLACE |= {"kind": "linear"}

# Eight test samples: five with the view ap, of classes 0 0 0 0 1, two pa, of 1 0, one without.
# Train shows three ap, of classes 1 1 0, and no pa.
CLASSES = [0, 0, 0, 0, 1, 1, 0, 1]
VIEWS = ["ap"] * 5 + ["pa"] * 2
NAMED = {0: [0, 0, 0, 1, 1, 1, 0, 0], 1: [0, 0, 0, 0, 0, 1, 1, 1]}
"""What the probes of two seeds name."""


def target(name, n_right, seed=0, **more):
    sizes = {"n_labels": 2, "n_test": 7, "n_right": n_right, "n_largest": 5, "n_train": 9}
    return PLACE | sizes | {"target": name, "seed": seed, "balanced_accuracy": 0.6} | more


@pytest.fixture
def con(catalogue):
    return catalogue(
        {
            "sample": [
                {"dataset_id": "d", "sample_id": f"t{i}", "class_index": c, "split": "test"}
                for i, c in enumerate(CLASSES)
            ]
            + [
                {"dataset_id": "d", "sample_id": f"a{i}", "class_index": c, "split": "train"}
                for i, c in enumerate([1, 1, 0])
            ],
            "layer": [
                {"model_id": "m", "module": "vision", "layer": 0, "depth": 0, "on_path": True}
            ],
            "probe": [
                {**PLACE, "probe_id": f"p{seed}", "control": "none", "seed": seed} for seed in NAMED
            ]
            + [{**PLACE, "probe_id": "c", "control": "shuffled_labels", "seed": 0}],
            "probe_logit": [
                {"probe_id": probe, "sample_id": f"t{i}", "split": "test"}
                | {"predicted_class_index": one}
                for probe, named in [("p0", NAMED[0]), ("p1", NAMED[1]), ("c", [1] * 8)]
                for i, one in enumerate(named)
            ],
            "attribute_label": [
                {"dataset_id": "d", "sample_id": f"t{i}", "attribute": "view", "value": view}
                | {"label_index": ["ap", "pa"].index(view)}
                for i, view in enumerate(VIEWS)
            ]
            + [
                {"dataset_id": "d", "sample_id": f"a{i}", "attribute": "view", "value": "ap"}
                | {"label_index": 0}
                for i in range(3)
            ],
            "attribute_shortcut": [
                {"dataset_id": "d", "attribute": "view", "n_values": 2, "n_groups": 8}
                | {"balanced_accuracy": 0.625, "chance": 0.5, "lower": 0.4, "upper": 0.8}
            ],
            "target_probe": [
                target("attribute:view", 6),
                target("control_task:site", 3, n_test=8),
                target("control_task:site", 5, seed=1, n_test=8),
                target("control_task:scanner", 2, n_test=8),
            ],
        }
    )


@pytest.mark.exact_rows("stratum_signal")
def test_the_class_is_scored_among_the_samples_of_one_value(con):
    found = con.sql(
        "SELECT attribute, label_index, value, n_test, round(test_accuracy, 9), chance, "
        "round(signal, 9) FROM stratum_signal ORDER BY value"
    ).fetchall()
    # ap: 4 of 5 right with either seed where naming train's class 1 gets 1; pa: 2 and 1 of 2, where
    # naming the class that is largest in all of train gets 1.
    assert found == [("view", 0, "ap", 5, 0.8, 0.2, 0.75), ("view", 1, "pa", 2, 0.75, 0.5, 0.5)]


def test_samples_weigh_as_the_score_of_the_dataset_has_it(con):
    """Of test's seven with a view five are of class 0 and two of class 1."""
    insert(con.con, "dataset", [{"dataset_id": "d", "score": "balanced_accuracy"}])
    query = "SELECT value, weight, test_accuracy FROM stratum_signal ORDER BY value"
    found = con.sql(query).fetchall()
    # ap: four of 1/5 and one of 1/2, of which the seeds get 3/5 + 1/2 and 4/5; pa: one of 1/2 and
    # one of 1/5, of which they get both and the first.
    assert found == [
        ("ap", pytest.approx(1.3), pytest.approx((1.1 + 0.8) / 2 / 1.3)),
        ("pa", pytest.approx(0.7), pytest.approx((0.7 + 0.5) / 2 / 0.7)),
    ]


@pytest.mark.exact_rows("nuisance_flow")
def test_an_attribute_stands_beside_the_class_and_what_it_leaves_of_it(con):
    found = con.sql(
        "SELECT depth, module, layer, attribute, n_labels, n_test, round(test_accuracy * 7, 9), "
        "balanced_accuracy, round(chance * 7, 9), signal, class_accuracy, "
        "round(class_signal, 9), round(within_accuracy * 7, 9), round(within_chance * 7, 9), "
        "round(within_signal, 9), alone_accuracy, alone_chance, alone_lower, alone_upper, "
        "wilson_lower < 6 / 7 AND wilson_upper > 6 / 7 FROM nuisance_flow"
    ).fetchall()
    # The class: 6 and 6 of 8 right, 5 by chance; of the seven that have a view 5.5 and 2 by it.
    read = (0, "vision", 0, "view", 2, 7, 6.0, 0.6, 5.0, 0.5)
    assert found == [(*read, 0.75, 0.333333333, 5.5, 2.0, 0.7, 0.625, 0.5, 0.4, 0.8, True)]


def test_a_control_task_is_what_the_probe_learns_by_heart_of_its_best_learnt_attribute(con):
    found = con.sql(
        "SELECT test_accuracy, control_accuracy, above_shuffled, control_task_accuracy, "
        "above_control_task FROM signal_flow"
    ).fetchall()
    assert found == [(0.75, 0.375, 0.375, 0.5, 0.25)]


CONTROL_TASKS = "SELECT kind, control_task_accuracy, above_control_task FROM signal_flow"


@pytest.mark.parametrize(
    ("fitted_for", "found"),
    [
        # Probes of the classes weigh as the score does, which a task fitted for accuracy did not.
        ("balanced_accuracy", [("linear", 0.25, 0.5)]),
        # They are of the score before; so is the task that they are held against.
        ("accuracy", [("linear", 0.75, 0.0)]),
    ],
)
def test_a_control_task_is_held_against_probes_that_were_fitted_for_the_same(
    catalogue, fitted_for, found
):
    """One of each score, of which the balanced accuracies are 0.25 and 0.75."""
    probe = {**PLACE, "probe_id": "p", "control": "none", "seed": 0, "score": fitted_for}
    tasks = {"old": ("{}", 0.75), "new": ('{"settings": {"score": "balanced_accuracy"}}', 0.25)}
    con = catalogue(
        {
            "dataset": [{"dataset_id": "d", "score": "balanced_accuracy"}],
            "sample": [
                {"dataset_id": "d", "sample_id": f"t{i}", "class_index": c, "split": "test"}
                for i, c in enumerate((0, 0, 1, 1))
            ],
            "layer": [
                {"model_id": "m", "module": "vision", "layer": 0, "depth": 0, "on_path": True}
            ],
            "probe": [probe],
            "probe_logit": [
                {"probe_id": "p", "sample_id": f"t{i}", "split": "test"}
                | {"predicted_class_index": c}
                for i, c in enumerate((0, 0, 1, 0))
            ],
            "run": [
                {"run_id": name, "command": "probe-control-task", "config": config}
                for name, (config, _) in tasks.items()
            ],
            "target_probe": [
                target(f"control_task:{name}", 4, run_id=name) | {"balanced_accuracy": share}
                for name, (_, share) in tasks.items()
            ],
        }
    )
    assert con.sql(CONTROL_TASKS).fetchall() == found


def test_probes_of_other_labels_are_in_no_score_of_the_class(con):
    assert con.sql("SELECT count(*) FROM probe_accuracy").fetchall() == [(3,)]
    assert con.sql("SELECT n_seeds, n_test FROM signal_flow").fetchall() == [(2, 8)]


def test_under_folds_a_value_is_named_by_what_trained_for_the_fold(catalogue):
    """Six samples of three folds, dealt twice; five have the view ap, of classes 0 1 1 0 0, one pa.

    The first time folds are s0 s1, s2 s3, s4 s5; each is scored by what the fold before trained.
    Of ap there is 0 in the last, so that of s0 and s1 (0 1) one is right; 0 1, of which equals the
    first is named, in the first, so that of s2 and s3 (1 0) one is; 1 0 in the second, and s4 is
    right: 3 of 5. The second time folds are s0 s3, s1 s4, s2 s5: 1 names none of two rightly, 0 0
    one of two, 1 0 none of one: 1 of 5. Of pa nothing trained, and the largest class of all is
    named, 0 of 1 0 both times; s5 is of class 1.
    """
    classes = (0, 1, 1, 0, 0, 1)
    dealt = ((0, 0, 1, 1, 2, 2), (0, 1, 2, 0, 1, 2))
    of = [{"dataset_id": "d", "sample_id": f"s{i}"} for i in range(6)]
    right = ({0, 1, 2, 3, 5}, {0, 1, 2, 3, 4})
    con = catalogue(
        {
            "dataset": [{"dataset_id": "d", "evaluation": "folds", "n_folds": 3}],
            "sample": [
                {**one, "class_index": label, "split": "test"}
                for one, label in zip(of, classes, strict=True)
            ],
            "sample_fold": [
                {**one, "repetition": repetition, "fold": fold}
                for repetition, folds in enumerate(dealt)
                for one, fold in zip(of, folds, strict=True)
            ],
            "probe": [
                {**PLACE, "probe_id": f"p{seed}", "control": "none", "seed": seed}
                for seed in range(2)
            ],
            "probe_logit": [
                {"probe_id": f"p{seed}", "sample_id": f"s{i}", "split": "test"}
                | {"predicted_class_index": label if i in right[seed] else 1 - label}
                for seed in range(2)
                for i, label in enumerate(classes)
            ],
            "attribute_label": [
                {**one, "attribute": "view", "value": "pa" if i == 5 else "ap"}
                | {"label_index": int(i == 5)}
                for i, one in enumerate(of)
            ],
        }
    )
    found = con.sql(
        "SELECT value, n_test, round(test_accuracy, 9), round(chance, 9), round(signal, 9) "
        "FROM stratum_signal ORDER BY value"
    ).fetchall()
    # ap: 4 of 5 and 5 of 5 right, so (4 - 3) / (5 - 3) and (5 - 1) / (5 - 1); pa: 1 and 0 of 1
    assert found == [("ap", 5, 0.9, 0.4, 0.75), ("pa", 1, 0.5, 0.0, 0.5)]
