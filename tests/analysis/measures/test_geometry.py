"""Geometry of a locus: known cases, and what must not change it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from analysis.measures.geometry import (
    centred_gram,
    class_separability,
    effective_rank,
    intrinsic_dimension,
    linear_cka,
    thinned,
)

SEEDS = st.integers(0, 2**32 - 1)


def normal(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def rotation(seed, width):
    return torch.linalg.qr(normal(seed, width, width))[0]


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_the_effective_rank_of_equal_directions_is_their_number(rank):
    rows = torch.zeros(2 * rank, 20, dtype=torch.float64)
    rows[:rank, :rank] = torch.eye(rank)
    rows[rank:, :rank] = -torch.eye(rank)
    assert effective_rank(centred_gram(rows)) == pytest.approx(rank)


def test_vectors_that_are_all_the_same_have_no_rank_dimension_or_similarity():
    gram = centred_gram(torch.ones(6, 4))
    assert effective_rank(gram) == 0
    assert intrinsic_dimension(gram) is None
    assert linear_cka(gram, gram) is None
    assert class_separability(torch.ones(6, 4), [0, 0, 0, 1, 1, 1]) is None


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, scale=st.floats(0.1, 10))
def test_rotation_scale_and_shift_change_nothing(seed, scale):
    rows = normal(seed, 30, 6)
    moved = scale * rows @ rotation(seed + 1, 6) + 3
    labels = np.arange(30) % 3
    before, after = centred_gram(rows), centred_gram(moved)
    assert effective_rank(after) == pytest.approx(effective_rank(before), rel=1e-6)
    assert intrinsic_dimension(after) == pytest.approx(intrinsic_dimension(before), rel=1e-6)
    assert class_separability(moved, labels) == pytest.approx(class_separability(rows, labels))
    assert linear_cka(before, after) == pytest.approx(1.0)
    assert 1 <= effective_rank(before) <= 6 + 1e-9


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_cka_equals_its_feature_form_and_is_symmetric(seed):
    x, y = normal(seed, 25, 7), normal(seed + 1, 25, 4)
    xc, yc = x - x.mean(0), y - y.mean(0)
    slow = (yc.T @ xc).norm() ** 2 / ((xc.T @ xc).norm() * (yc.T @ yc).norm())
    one, other = centred_gram(x), centred_gram(y)
    assert linear_cka(one, other) == pytest.approx(float(slow))
    assert linear_cka(one, other) == pytest.approx(linear_cka(other, one))
    assert 0 <= linear_cka(one, other) <= 1


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_the_intrinsic_dimension_of_a_flat_sheet_is_found_in_a_wider_space(dimension):
    sheet = torch.from_numpy(np.random.default_rng(0).uniform(size=(1500, dimension)))
    rows = sheet @ rotation(1, 30)[:dimension]
    assert intrinsic_dimension(centred_gram(rows)) == pytest.approx(dimension, rel=0.12)


def test_copies_of_a_vector_do_not_count_towards_the_dimension():
    rows = normal(0, 200, 3)
    twice = torch.cat([rows, rows[:50]])
    assert intrinsic_dimension(centred_gram(twice)) == pytest.approx(
        intrinsic_dimension(centred_gram(rows)), rel=1e-6
    )


def test_separability_of_a_hand_counted_case():
    """Means -2 and 2 around 0, one step to each side: between 4 * 4, within 4 * 1."""
    rows = torch.tensor([[-3.0], [-1.0], [1.0], [3.0]])
    assert class_separability(rows, [0, 0, 1, 1]) == pytest.approx(16 / 4)
    assert class_separability(rows, [0, 1, 1, 0]) == pytest.approx(0)


def test_thinning_is_even_and_bounded():
    assert thinned(5, 10).tolist() == [0, 1, 2, 3, 4]
    assert thinned(101, 3).tolist() == [0, 50, 100]
