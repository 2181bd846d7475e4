"""Online code lengths: one row per place, mean over orders of train."""

import pytest

from tests.sql.worlds import NAMES, world


def length(layer, seed, bits, uniform=8.0):
    place = {"module": "llm", "layer": layer, "readout": "last"}
    sizes = {"n_train": 8, "online_bits": bits, "uniform_bits": uniform}
    return {**NAMES, **place, "seed": seed, **sizes}


@pytest.mark.exact_rows("locus_code_length")
def test_lengths_are_averaged_over_orders_and_held_against_uniform_guesses(catalogue):
    """llm layers 0 and 1 lie at depths 4 and 5: 2 and 6 bits are 4 on average, half of 8."""
    rows = world() | {"code_length": [length(0, 0, 16.0), length(1, 0, 2.0), length(1, 1, 6.0)]}
    assert catalogue(rows).sql("SELECT * FROM locus_code_length ORDER BY depth").fetchall() == [
        ("m", "d", 4, "llm", 0, "last", 1, 8, 16.0, 8.0, 0.5),
        ("m", "d", 5, "llm", 1, "last", 2, 8, 4.0, 8.0, 2.0),
    ]


def test_a_code_without_bits_has_no_compression(catalogue):
    con = catalogue(world() | {"code_length": [length(1, 0, 0.0)]})
    assert con.sql("SELECT compression FROM locus_code_length").fetchall() == [(None,)]
