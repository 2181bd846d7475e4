"""What a repair's samples weigh, and what val says of it, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from extract.mending.school import class_weights, marks
from warehouse.vocabulary import ACCURACY, BALANCED_ACCURACY


def test_each_class_of_train_weighs_as_much_as_another_and_one_that_is_not_there_nothing() -> None:
    labels = np.array([0, 0, 0, 2])
    assert class_weights(ACCURACY, labels, 3).tolist() == [1, 1, 1]
    assert class_weights(BALANCED_ACCURACY, labels, 3).tolist() == pytest.approx([2 / 3, 0, 2])


def test_score_and_loss_on_val_are_of_the_dataset_s_score() -> None:
    said = np.log([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.9, 0.1]])
    truth = np.array([0, 0, 0, 1])
    told = -np.log([0.8, 0.6, 0.3, 0.1])
    assert marks(said, truth, ACCURACY) == pytest.approx((0.5, told.mean()))
    balanced = marks(said, truth, BALANCED_ACCURACY)
    assert balanced == pytest.approx((1 / 3, (told[:3].mean() + told[3]) / 2))
