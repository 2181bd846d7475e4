"""What samples weigh: each class as much as another, of which scikit-learn says the same."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, strategies as st
from sklearn.utils.class_weight import compute_sample_weight

from analysis.probes.weights import weighed_mean, weights_for
from warehouse.vocabulary import ACCURACY, BALANCED_ACCURACY

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=30)


@given(LABELS, st.randoms(use_true_random=False))
def test_every_row_weighs_its_classes_alike(labels: list[int], random) -> None:
    shuffled = random.sample(labels, len(labels))
    rows = torch.tensor([labels, shuffled])
    weights = weights_for(BALANCED_ACCURACY, rows)
    for weight, row in zip(weights, rows, strict=True):
        expected = compute_sample_weight("balanced", row.numpy())
        np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-6)
    assert weights_for(ACCURACY, rows) is None


def test_a_mean_of_hits_is_the_mean_recall() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    right = torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    weights = weights_for(BALANCED_ACCURACY, labels)
    torch.testing.assert_close(weighed_mean(right, weights), torch.tensor([1 / 3, 1.0]))
    torch.testing.assert_close(weighed_mean(right, None), torch.tensor([0.5, 1.0]))
