"""What the image tokens still hold where the llm ends."""

import pytest

from tests.sql.worlds import world

RIGHT = {"linear": 13, "mlp": 18, "centroid": 9, "nearest": 7}
"""What probes of the mean readout get right on test, all alike on val."""


def kinds(*names):
    return {("llm", 1, "mean", 0, name): (7, RIGHT[name]) for name in names}


@pytest.mark.exact_rows("image_token_accuracy")
@pytest.mark.parametrize(
    ("probes", "accuracy"),
    [
        pytest.param({("llm", 1, "mean"): (6, 13), ("llm", 1, "grid"): (7, 11)}, 0.55, id="val"),
        pytest.param({("llm", 1, "mean"): (7, 13), ("llm", 1, "grid"): (7, 11)}, 0.55, id="name"),
        pytest.param(kinds("centroid", "mlp", "linear"), 0.65, id="kind"),
        pytest.param(kinds("centroid", "mlp"), 0.9, id="our kind before a package's"),
        pytest.param(kinds("nearest", "centroid"), 0.45, id="package's kinds by name"),
        pytest.param({("llm", 1, "mean", 0): (7, 12), ("llm", 1, "mean", 1): (7, 16)}, 0.7,
                     id="mean of seeds"),
    ],
)  # fmt: skip
def test_the_probe_that_is_best_on_val_tells(catalogue, probes, accuracy):
    """Ties go to the readout first by name, then to the preferred kind."""
    elsewhere = {
        ("llm", 0, "mean"): (10, 20),
        ("llm", 1, "last"): (10, 20),
        ("connector", 0, "mean"): (10, 20),
    }
    con = catalogue(world(elsewhere | probes))
    assert con.sql("SELECT * FROM image_token_accuracy").fetchall() == [
        ("m", "d", "accuracy", pytest.approx(accuracy))
    ]


def test_there_is_no_row_without_a_probe_of_image_tokens_at_the_end(catalogue):
    con = catalogue(world({("llm", 0, "mean"): (9, 18), ("llm", 1, "last"): (9, 18)}))
    assert con.sql("SELECT * FROM image_token_accuracy").fetchall() == []
