"""Linear probes against scikit-learn on the pixels of real medical images."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from analysis.probes.kinds.linear import fit_linear
from analysis.probes.probe_kind import LabelledVectors
from tests.conftest import real_dataset


def pixels(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey images at 24×24 [n, 576], classes and splits."""
    folder = real_dataset(name)
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    images = [Image.open(folder / row["image_path"]).convert("L").resize((24, 24)) for row in rows]
    labels = np.unique([row["label"] for row in rows], return_inverse=True)[1]
    features = np.stack([np.asarray(image, np.float32).ravel() for image in images])
    return features, labels.astype(np.int64), np.array([row["split"] for row in rows])


@pytest.mark.parametrize(
    "name",
    [
        "busi_ultrasound",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("nih_cxr_pneumonia", "bccd_cells")),
    ],
)
def test_probabilities_agree_to_a_thousandth(name: str) -> None:
    features, labels, splits = pixels(name)
    n_classes = int(labels.max()) + 1
    x, y = torch.from_numpy(features)[None], torch.from_numpy(labels)[None]
    train, val, test = (splits == split for split in ("train", "val", "test"))
    scaler = StandardScaler().fit(features[train].astype(np.float64))
    scaled = scaler.transform(features.astype(np.float64))
    for relative in (0.1, 1.0, 10.0):
        penalty = relative / features.shape[1]
        model = LogisticRegression(C=penalty, tol=1e-7, max_iter=5000)
        expected = model.fit(scaled[train], labels[train]).predict_proba(scaled[test])
        fits = fit_linear(
            LabelledVectors(x[:, train], y[:, train]),
            LabelledVectors(x[:, val], y[:, val]),
            x[:, test],
            n_classes,
            (penalty,),
        )
        found = torch.from_numpy(fits.test_logits[0, 0]).double().softmax(-1).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-3)
        assert (found.argmax(1) == expected.argmax(1)).mean() > 0.99
