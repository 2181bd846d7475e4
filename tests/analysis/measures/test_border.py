"""What passes the border from vision to connector, on states of which the truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.measures import add_border
from analysis.measures.border import debiased_cka, fidelity, shared_neighbours
from analysis.measures.geometry import centred_gram, linear_cka
from analysis.probes import Samples
from tests.analysis.activation_lake import DATASET, MODEL, add_activations, dataset_lake, drawn
from tests.analysis.probes.test_probe_command import CLASSES, SPLITS, VECTORS, rows
from warehouse.errors import LayerhouseError

N, WIDTH = 600, 20
STATES = torch.from_numpy(np.random.default_rng(0).standard_normal((N, WIDTH))).float()
GROUPS = np.array([f"p{i // 2}" for i in range(N)], dtype=object)


def measured(behind: torch.Tensor) -> dict[str, float]:
    split = np.repeat(np.array(["train", "val", "test"], dtype=object), [300, 100, 200])
    ids = np.array([f"s{i:03d}" for i in range(N)], dtype=object)
    samples = Samples(ids, np.zeros(N, dtype=np.int64), split, 2, N)
    return fidelity(STATES, behind.float(), samples, GROUPS)


def test_a_turned_and_stretched_space_is_passed_on_whole() -> None:
    turn = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.manual_seed(1))).Q
    found = measured(3 * STATES @ turn + 5)
    assert found["neighbour_overlap"] == found["overlap_lower"] == 1
    assert found["cka"] == pytest.approx(1)
    assert found["reconstruction"] == pytest.approx(1, abs=1e-4)


def test_unrelated_states_share_what_chance_gives_them() -> None:
    other = torch.randn(N, 700, generator=torch.manual_seed(2))
    found = measured(other)
    assert found["overlap_chance"] == pytest.approx(10 / 598)
    assert found["overlap_lower"] <= found["overlap_chance"] <= found["overlap_upper"]
    assert found["cka_lower"] <= 0 <= found["cka_upper"]
    assert abs(found["cka"]) < 0.03
    assert found["reconstruction"] <= 0.001
    # what debiasing is for: wider than the samples are many, all states look alike
    plain = linear_cka(centred_gram(STATES), centred_gram(other))
    assert plain is not None
    assert plain > 0.1


def test_half_of_the_directions_bring_back_half_of_the_states() -> None:
    """Of 20 independent directions 10 pass: R² is 10 / 20, CKA 10 / sqrt(20 · 10)."""
    found = measured(STATES[:, :10])
    assert abs(found["cka"] - 10 / 200**0.5) < found["cka_upper"] - found["cka_lower"] < 0.1
    assert found["reconstruction_lower"] < 0.5 < found["reconstruction_upper"]
    assert found["reconstruction_upper"] - found["reconstruction_lower"] < 0.1
    assert 0.1 < found["neighbour_overlap"] < 0.6


def test_neighbours_are_those_of_other_groups() -> None:
    """On a line 0 1 2 | 10 11 of five groups, then 1 and 10 change places."""
    before = torch.tensor([[0.0], [1], [2], [10], [11]])
    behind = torch.tensor([[0.0], [10], [2], [1], [11]])
    shared, k, chance = shared_neighbours(before, behind, np.array(list("abcde"), dtype=object))
    # all four others are neighbours while there are no more than ten
    assert (shared.tolist(), k, chance) == ([1.0] * 5, 4, 1.0)
    shared, k, chance = shared_neighbours(before, behind, np.array(list("aaabb"), dtype=object))
    # the groups see each other alone: 10 had 2 and 1 beside it, and has 0 and 2 once it is at 1
    assert (shared.tolist(), k) == ([1, 1, 1, 1 / 2, 1], 2)
    assert chance == pytest.approx((3 * 2 / 2 + 2 * 2 / 3) / 5)


def test_states_that_do_not_vary_have_no_similarity() -> None:
    varying = centred_gram(STATES[:50])
    assert debiased_cka(varying, torch.zeros(50, 50, dtype=torch.float64)) is None
    assert debiased_cka(varying[:3, :3], varying[:3, :3]) is None


def test_each_readout_on_both_sides_is_stored_once(tmp_path: Path) -> None:
    lake = dataset_lake(tmp_path / "lake", CLASSES, SPLITS)
    sides = [("vision", 0, "mean"), ("vision", 1, "mean"), ("connector", 0, "mean")]
    add_activations(lake, {place: VECTORS[place] for place in sides})
    assert (add_border(lake, MODEL, DATASET), add_border(lake, MODEL, DATASET)) == (2, 0)
    query = "SELECT readout, vision_layer, n_samples, n_train, n_test FROM border_fidelity"
    assert rows(lake, query) == [("mean", 1, 160, 80, 40)]
    other = {("llm", 0, "mean"): drawn(CLASSES, 5, 9)}
    add_activations(lake, other, model_id="blind")
    with pytest.raises(LayerhouseError, match="both at the end of its vision tower and behind"):
        add_border(lake, "blind", DATASET)
