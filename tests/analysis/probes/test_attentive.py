"""The attentive probe finds what stands in one token, whatever stands in the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from analysis.probes.kinds.attentive import AttentiveProbe
from analysis.probes.probe_kind import Fits, LabelledVectors, ProbeData
from analysis.probes.probing import probe
from tests.analysis.activation_lake import (
    DATASET,
    MODEL,
    add_activations,
    add_tokens,
    dataset_lake,
    labels_and_splits,
)
from warehouse.catalogue import connect
from warehouse.errors import LayerhouseError

CLASSES, SPLITS = labels_and_splits(120, 2)
WIDTH, MOST = 6, 12
QUICK = AttentiveProbe(epochs=12, patience=3)


WEIGHTS = torch.tensor([1.5, 0.5])[CLASSES]


def planted(classes: np.ndarray, fewest: int = 8, most: int = MOST) -> list[np.ndarray]:
    """Of each sample some tokens of noise around a large offset; one of them names the class."""
    rng = np.random.default_rng(0)
    found = []
    for one in classes:
        n = rng.integers(fewest, most + 1)
        tokens = 50 + rng.standard_normal((n, WIDTH), dtype=np.float32)
        tokens[rng.integers(len(tokens)), one] += 8
        found.append(tokens.astype(np.float32))
    return found


def data(
    seeds: tuple[int, ...],
    labels: torch.Tensor | None = None,
    weights: torch.Tensor | None = None,
) -> ProbeData:
    """60 train, 30 val and 30 test samples at one cell."""
    told = None if weights is None else weights.expand(len(seeds), -1)
    features = torch.full((1, 120, MOST, WIDTH), torch.nan)
    for at, tokens in enumerate(planted(CLASSES)):
        features[0, at, : len(tokens)] = torch.from_numpy(tokens)
    if labels is None:
        labels = torch.from_numpy(CLASSES).expand(len(seeds), -1)
    return ProbeData(
        LabelledVectors(features[:, :60], labels[:, :60], None if told is None else told[:, :60]),
        LabelledVectors(
            features[:, 60:90], labels[:, 60:90], None if told is None else told[:, 60:90]
        ),
        features[:, 90:],
        n_classes=2,
        seeds=seeds,
    )


def trained_alone(seed: int, options: AttentiveProbe, weights: torch.Tensor) -> np.ndarray:
    """One probe sample by sample, on the tokens that there are, in double precision."""
    tokens = [torch.from_numpy(one).double() for one in planted(CLASSES)]
    every = torch.cat(tokens[:60])
    tokens = [(one - every.mean(0)) / every.std(0, correction=0) for one in tokens]
    start = torch.randn(WIDTH, 2, generator=torch.Generator().manual_seed(seed)).double()
    queries = nn.Parameter(start / WIDTH**0.5)
    values, bias = (
        nn.Parameter(torch.zeros(WIDTH, 2).double()),
        nn.Parameter(torch.zeros(2).double()),
    )
    optimiser = torch.optim.AdamW(
        [queries, values, bias], lr=options.learning_rate, weight_decay=options.weight_decay
    )

    def logits(rows: range | list[int]) -> torch.Tensor:
        each = [
            ((one @ queries).softmax(0) * (one @ values)).sum(0)
            for one in map(tokens.__getitem__, rows)
        ]
        return torch.stack(each) + bias

    labels, best, left = torch.from_numpy(CLASSES), np.inf, options.patience
    for epoch in range(1, options.epochs + 1):
        order = torch.randperm(60, generator=torch.Generator().manual_seed(epoch))
        for rows in order.split(options.batch_size):
            optimiser.zero_grad()
            losses = cross_entropy(logits(rows.tolist()), labels[rows], reduction="none")
            (losses * weights[rows]).mean().backward()
            optimiser.step()
        with torch.no_grad():
            losses = cross_entropy(logits(range(60, 90)), labels[60:90], reduction="none")
            loss = float((losses * weights[60:90]).sum() / weights[60:90].sum())
            left = options.patience if loss < best else left - 1
            if loss < best:
                best, found = loss, logits(range(90, 120)).numpy()
        if not left:
            break
    return found


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighed"])
def test_training_side_by_side_equals_training_alone_on_tokens_of_any_number(
    weights: torch.Tensor | None,
) -> None:
    fits = QUICK.fit(data((3, 4), weights=weights))
    told = torch.ones(120) if weights is None else weights
    for at, seed in enumerate((3, 4)):
        alone = trained_alone(seed, QUICK, told)
        np.testing.assert_allclose(fits.test_logits[0, at], alone, rtol=1e-3, atol=1e-3)


def test_a_seed_does_not_depend_on_the_others() -> None:
    def fit(*seeds: int) -> Fits:
        return QUICK.fit(data(seeds))

    three, one = fit(0, 1, 2), fit(1)
    np.testing.assert_allclose(three.test_logits[:, 1], one.test_logits[:, 0], atol=1e-4)
    assert three.chosen[0][1]["epoch"] == one.chosen[0][0]["epoch"]
    assert not np.allclose(three.test_logits[:, 0], three.test_logits[:, 1])


def test_a_class_that_train_lacks_stops_no_probe() -> None:
    labels = torch.from_numpy(CLASSES).clone()[None]
    labels[0, 60:70] = 2
    fits = AttentiveProbe(epochs=2).fit(data((0,), labels))
    assert np.isfinite(fits.chosen[0][0]["val_loss"])


@pytest.mark.slow
def test_it_is_stored_beside_the_others_and_finds_more(tmp_path: Path) -> None:
    lake = dataset_lake(tmp_path / "lake", CLASSES, SPLITS)
    tokens = planted(CLASSES, 48, 64)
    means = np.stack([one.mean(axis=0) for one in tokens])
    add_activations(lake, {("vision", 1, "mean"): means, ("llm", 0, "last"): means[::-1]})
    with pytest.raises(LayerhouseError, match=r"holds no image tokens .* --readout tokens"):
        probe(lake, MODEL, DATASET, kind="attentive")
    add_tokens(lake, {("vision", 1): tokens})
    for kind in ("linear", "attentive"):
        first = probe(lake, MODEL, DATASET, kind=kind, seeds=2)
        assert first.n_probes == {"linear": 6, "attentive": 4}[kind]
        assert not probe(lake, MODEL, DATASET, kind=kind, seeds=2).added
    with connect(lake) as wh:
        rows = wh.sql(
            "SELECT module, readout, kind, test_accuracy, above_shuffled FROM signal_flow "
            "WHERE module = 'vision' ORDER BY kind"
        ).fetchall()
        chosen = wh.sql(
            "SELECT readout, kind FROM stage_candidate WHERE stage = 'vision' AND rank = 1"
        ).fetchall()
    (_, _, _, found, above), (*_, averaged, _) = rows
    assert [row[:3] for row in rows] == [
        ("vision", "tokens", "attentive"),
        ("vision", "mean", "linear"),
    ]
    assert found > averaged
    assert above > 0.2
    assert chosen == [("tokens", "attentive")]


def test_tokens_of_fewer_samples_than_the_vectors_are_refused_and_of_more_than_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = dataset_lake(tmp_path / "lake", CLASSES, SPLITS)
    tokens = planted(CLASSES)
    means = np.stack([one.mean(axis=0) for one in tokens])
    add_activations(lake, {("vision", 1, "mean"): means})
    add_tokens(lake, {("vision", 1): tokens[:100]})
    with pytest.raises(LayerhouseError, match="holds 100 samples, others hold 120"):
        probe(lake, MODEL, DATASET, kind="attentive")
    assert probe(lake, MODEL, DATASET, seeds=1).added
    alone = dataset_lake(tmp_path / "alone", CLASSES, SPLITS)
    add_activations(alone, {("vision", 1, "mean"): means})
    add_tokens(alone, {("vision", 1): tokens})
    monkeypatch.setattr("analysis.probes.tokens.memory", lambda: 12 * 120 * MOST * WIDTH - 1)
    with pytest.raises(
        LayerhouseError, match="12 tokens of 120 samples, 6 numbers each, do not fit"
    ):
        probe(alone, MODEL, DATASET, kind="attentive")
