"""What `signal_flow` says of loci in pipeline order."""

import pytest

SAMPLES = [
    {"dataset_id": "d", "sample_id": f"t{i}", "class_index": i % 2, "split": "test"}
    for i in range(4)
] + [{"dataset_id": "d", "sample_id": "v0", "class_index": 1, "split": "val"}]


def layer(module, number, depth, *, on_path=True, kind="block"):
    return {
        "model_id": "m",
        "module": module,
        "layer": number,
        "depth": depth,
        "on_path": on_path,
        "kind": kind,
    }


def probe(probe_id, module, number, readout="mean", **more):
    return {
        "probe_id": probe_id,
        "model_id": "m",
        "dataset_id": "d",
        "module": module,
        "layer": number,
        "readout": readout,
        "kind": "linear",
        "control": "none",
        "seed": 0,
    } | more


def logits(probe_id, test, val=1):
    """Predictions for t0…t3, whose classes are 0, 1, 0, 1, and for v0, whose class is 1."""
    rows = [
        {"probe_id": probe_id, "sample_id": f"t{i}", "split": "test", "predicted_class_index": c}
        for i, c in enumerate(test)
    ]
    return [
        *rows,
        {"probe_id": probe_id, "sample_id": "v0", "split": "val", "predicted_class_index": val},
    ]


@pytest.fixture
def flow(catalogue):
    con = catalogue(
        {
            "sample": SAMPLES,
            "layer": [
                layer("vision", 0, 0),
                layer("vision", 1, 1, on_path=False),
                layer("connector", 0, 2, kind="projector"),
                layer("llm", 0, 3),
            ],
            "probe": [
                probe("v0s0", "vision", 0),
                probe("v0s1", "vision", 0, seed=1),
                probe("v0c", "vision", 0, control="shuffled_labels"),
                probe("v1", "vision", 1),
                probe("c0", "connector", 0),
                probe("l0", "llm", 0),
                probe("l0last", "llm", 0, "last"),
            ],
            "probe_logit": [
                *logits("v0s0", [0, 1, 0, 1]),
                *logits("v0s1", [0, 1, 1, 0], val=0),
                *logits("v0c", [1, 0, 0, 0]),
                *logits("v1", [1, 0, 1, 0]),
                *logits("c0", [0, 1, 0, 0]),
                *logits("l0", [0, 1, 0, 1]),
                *logits("l0last", [0, 0, 0, 0]),
            ],
        }
    )

    def rows(columns):
        return con.sql(f"SELECT {columns} FROM signal_flow ORDER BY depth, readout DESC").fetchall()

    return rows


@pytest.mark.exact_rows("signal_flow")
def test_scores_are_means_over_seeds(flow):
    got = flow("module, layer, readout, n_seeds, n_test, val_accuracy, test_accuracy")
    assert got == [
        ("vision", 0, "mean", 2, 4, 0.5, 0.75),
        ("vision", 1, "mean", 1, 4, 1.0, 0.0),
        ("connector", 0, "mean", 1, 4, 1.0, 0.75),
        ("llm", 0, "mean", 1, 4, 1.0, 1.0),
        ("llm", 0, "last", 1, 4, 1.0, 0.5),
    ]


def test_change_skips_loci_off_the_path_and_starts_anew_in_another_readout(flow):
    assert flow("depth, on_path, readout, change") == [
        (0, True, "mean", None),
        (1, False, "mean", None),
        (2, True, "mean", 0.0),
        (3, True, "mean", 0.25),
        (3, True, "last", None),
    ]


def test_shuffled_labels_are_the_floor_under_the_name_it_has_and_the_one_it_had(flow):
    got = flow("control_accuracy, above_shuffled, selectivity")[:2]
    assert got == [(0.25, 0.5, 0.5), (None, None, None)]


def test_signal_is_corrected_for_chance(flow):
    assert flow("chance, signal")[0] == (0.5, 0.5)


def test_an_untrained_model_is_the_floor_beside_every_variant_of_its_name(catalogue):
    models = {"m": "base", "other": "base"}
    models |= {f"m+random:{seed}": f"random:{seed}" for seed in range(3)}
    predicted = {
        "m": [0, 1, 0, 1],
        "m+random:0": [0, 0, 1, 0],
        "m+random:1": [0, 1, 1, 0],
        "m+random:2": [0, 1, 0, 1],  # its probes are fitted for another score
        "other": [0, 1, 0, 0],
    }

    def score_of(model: str) -> str:
        return "balanced_accuracy" if model.endswith("random:2") else "accuracy"

    con = catalogue(
        {
            "sample": SAMPLES,
            "model": [
                {"model_id": model, "name": model.partition("+")[0], "variant": variant}
                for model, variant in models.items()
            ],
            "layer": [layer("vision", 0, 0) | {"model_id": model} for model in models],
            "probe": [
                probe(model, "vision", 0, model_id=model, score=score_of(model)) for model in models
            ],
            "probe_logit": [row for model in models for row in logits(model, predicted[model])],
        }
    )
    query = "SELECT model_id, test_accuracy, random_accuracy, above_random FROM signal_flow"
    assert con.sql(f"{query} ORDER BY model_id").fetchall() == [
        ("m", 1.0, 0.375, 0.625),
        ("m+random:0", 0.25, 0.375, -0.125),
        ("m+random:1", 0.5, 0.375, 0.125),
        ("m+random:2", 1.0, 1.0, 0.0),
        ("other", 0.75, None, None),
    ]
