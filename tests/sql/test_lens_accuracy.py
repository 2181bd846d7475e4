"""The logit lens is scored per layer and split, by the same definitions as everything else."""

import pytest


def lens(layer, split, predicted):
    return [
        {
            "model_id": "m",
            "dataset_id": "d",
            "layer": layer,
            "sample_id": f"{split}{i}",
            "predicted_class_index": c,
        }
        for i, c in enumerate(predicted)
    ]


def samples(split, classes):
    return [
        {"dataset_id": "d", "sample_id": f"{split}{i}", "class_index": c, "split": split}
        for i, c in enumerate(classes)
    ]


def near(lower, upper):
    return pytest.approx(lower, abs=1e-5), pytest.approx(upper, abs=1e-5)


@pytest.mark.exact_rows("lens_accuracy")
def test_exact_rows(catalogue):
    loci = [("vision", 0, 0), ("vision", 1, 1), ("connector", 0, 2), ("llm", 0, 3), ("llm", 1, 4)]
    con = catalogue(
        {
            "layer": [
                {"model_id": "m", "module": module, "layer": layer, "depth": depth}
                for module, layer, depth in loci
            ],
            "sample": samples("test", [0, 0, 0, 1]) + samples("train", [0, 1]),
            "logit_lens": [
                *lens(0, "test", [1, 1, 0, 0]),
                *lens(1, "test", [0, 0, 0, 1]),
                *lens(1, "train", [0, 0]),
            ],
        }
    )
    columns = "model_id, dataset_id, layer, depth, split, n_samples, accuracy, chance, signal"
    query = f"SELECT {columns}, lower, upper FROM lens_accuracy ORDER BY layer, split"
    assert con.sql(query).fetchall() == [
        ("m", "d", 0, 3, "test", 4, 0.25, 0.75, -2.0, *near(0.04559, 0.69936)),
        ("m", "d", 1, 4, "test", 4, 1.0, 0.75, 1.0, *near(0.51011, 1.0)),
        ("m", "d", 1, 4, "train", 2, 0.5, 0.5, 0.0, *near(0.09453, 0.90547)),
    ]
