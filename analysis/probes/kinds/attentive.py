"""A probe that looks for the class among all image tokens: one query per class, all seeds at once.

Attention weights of class c are softmax(q_c · x) over an image's tokens x, and its logit is the
weighted mean of v_c · x, plus a bias: where every weight is the same, a linear probe of the mean
(attentive probing as in Chen et al. 2024, arXiv 2202.03026, with one query per class and one head).
A matrix of keys before the queries would say nothing that the queries alone cannot.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from analysis.logits import widen
from analysis.parallel import one_torch_thread
from analysis.probes.evidence import AttentiveReader
from analysis.probes.probe_kind import READER, Fits, ProbeData, ProbeKind, seen_classes
from analysis.probes.standardising import CONSTANT_SHARE

NOWHERE = -1e30
"""The score of what fills up images of fewer tokens: finite, so that no gradient is NaN."""


@dataclass(frozen=True)
class FilledUp:
    """The image tokens of samples, [n, tokens, width], and which of them there are, [n, tokens]."""

    values: Tensor
    there: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "FilledUp":
        """Of features that are NaN where an image has fewer tokens, which become 0 in place."""
        there = ~features[..., 0].isnan()
        return cls(features.nan_to_num_(nan=0.0), there)

    def of_samples(self, rows: Tensor) -> "FilledUp":
        return FilledUp(self.values[rows], self.there[rows])


@dataclass(frozen=True)
class AttentiveProbe(ProbeKind):
    """The schedule: AdamW, stopped `patience` epochs after the log loss on val was smallest."""

    name = "attentive"
    reads_tokens = True

    epochs: int = 200
    patience: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-2
    weight_decay: float = 0.01

    def most_cells(self, n_samples: int, width: int, n_sets: int) -> int:
        """Loci differ in how many tokens an image has there."""
        del n_samples, width, n_sets
        return 1

    @one_torch_thread()
    def fit(self, data: ProbeData) -> Fits:
        """A set's seed fixes its start; the order is the same for every set, so that a batch is
        looked at once for all of them, and a result does not depend on which are trained with it.
        """
        seen = seen_classes(data.train.labels)
        named = seen.cpu().numpy()
        val_logits, test_logits, chosen = [], [], []
        parts = zip(data.train.features, data.val.features, data.test, strict=True)
        for features in parts:
            train, val, test = map(FilledUp.of, features)
            mean, scale = _standardise(train, (val, test))
            labels = torch.searchsorted(seen, data.train.labels.contiguous())
            probes = _Probes.start(train.values.shape[-1], len(seen), data.seeds, train.values)
            counted = torch.isin(data.val.labels, seen).to(val.values)
            if data.val.weights is not None:
                counted *= data.val.weights
            held_out = torch.searchsorted(seen, data.val.labels.clamp(max=seen[-1]).contiguous())
            taught = (train, labels, data.train.weights)
            losses = _train(probes, taught, (val, held_out, counted), self)
            with torch.no_grad():
                val_logits.append(probes.logits(val).cpu().numpy())
                test_logits.append(probes.logits(test).cpu().numpy())
            readers = probes.readers(mean, scale, named)
            chosen.append(
                [
                    {"epoch": epoch, "val_loss": loss, READER: reader.as_json()}
                    for (epoch, loss), reader in zip(losses, readers, strict=True)
                ]
            )
        return Fits(
            widen(np.stack(val_logits), named, data.n_classes),
            widen(np.stack(test_logits), named, data.n_classes),
            chosen,
        )


KIND = AttentiveProbe()


@dataclass(frozen=True)
class _Probes:
    """Queries and values [sets, width, classes] and biases [sets, 1, classes] of many probes."""

    queries: Tensor
    values: Tensor
    biases: Tensor

    @classmethod
    def start(cls, width: int, classes: int, seeds: Sequence[int], like: Tensor) -> "_Probes":
        """Queries that look somewhere, and values that see nothing yet."""
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        drawn = [torch.randn(width, classes, generator=one) for one in generators]
        queries = (torch.stack(drawn) / math.sqrt(width)).to(like)
        zeros = torch.zeros_like(queries)
        found = cls(queries, zeros, zeros[:, :1].clone())
        for tensor in found.tensors:
            tensor.requires_grad_()
        return found

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.queries, self.values, self.biases

    def logits(self, tokens: FilledUp) -> Tensor:
        """[sets, n, classes], all sets in one product with the tokens."""
        sets, width, classes = self.queries.shape
        n, most = tokens.there.shape
        both = torch.stack([self.queries, self.values], dim=1)  # [sets, 2, width, classes]
        weight = both.permute(2, 0, 1, 3).reshape(width, -1)
        said = (tokens.values.reshape(-1, width) @ weight).view(n, most, sets, 2, classes)
        scores, evidence = said.unbind(dim=3)
        scores = scores.masked_fill(~tokens.there[:, :, None, None], NOWHERE)
        pooled = (scores.softmax(dim=1) * evidence).sum(dim=1)
        return pooled.transpose(0, 1) + self.biases

    def readers(
        self, mean: Tensor, scale: Tensor, classes: NDArray[np.int64]
    ) -> list[AttentiveReader]:
        """Each probe on raw tokens; what the mean adds to all scores alike moves no weight."""
        found = []
        for tensors in zip(*self.tensors, strict=True):
            queries, values, biases = (one.detach().double() for one in tensors)
            queries, values = queries * scale[:, None], values * scale[:, None]
            intercepts = biases[0] - mean.double() @ values
            parts = (queries.T, values.T, intercepts)
            found.append(AttentiveReader(classes, *(part.cpu().numpy() for part in parts)))
        return found


def _standardise(train: FilledUp, others: Sequence[FilledUp]) -> tuple[Tensor, Tensor]:
    """Scale features to mean 0 and variance 1 over all tokens of train, in place: by what."""
    count = train.there.sum()
    mean = torch.zeros_like(train.values[0, 0])
    for _ in range(2):  # what float32 left of a large offset goes with the second
        step = train.values.sum(dim=(0, 1)) / count
        train.values.sub_(step).masked_fill_(~train.there[..., None], 0.0)
        mean += step
    spread = torch.linalg.vector_norm(train.values, dim=(0, 1)) / count.sqrt()
    constant = spread <= CONSTANT_SHARE * mean.abs()
    scale = torch.where(constant, 0.0, 1.0 / spread.masked_fill(constant, 1.0))
    train.values.mul_(scale)
    for part in others:
        part.values.sub_(mean).mul_(scale).masked_fill_(~part.there[..., None], 0.0)
    return mean, scale


def _train(
    probes: _Probes,
    train: tuple[FilledUp, Tensor, Tensor | None],
    val: tuple[FilledUp, Tensor, Tensor],
    kind: AttentiveProbe,
) -> list[tuple[int, float]]:
    """Train in place, each set up to its own best epoch on val: that and its log loss there.

    train and val: tokens, labels [sets, n], and what they weigh [sets, n], on val 0 for classes
    that train does not show.
    """
    (tokens, labels, weights), n = train, len(train[0].values)
    optimiser = torch.optim.AdamW(
        probes.tensors, lr=kind.learning_rate, weight_decay=kind.weight_decay
    )
    best = [tensor.detach().clone() for tensor in probes.tensors]
    losses = torch.full((len(labels),), torch.inf, device=labels.device)
    epochs = torch.zeros(len(labels), dtype=torch.int64, device=labels.device)
    for epoch in range(1, kind.epochs + 1):
        order = torch.randperm(n, generator=torch.Generator().manual_seed(epoch))
        for rows in order.to(labels.device).split(kind.batch_size):
            optimiser.zero_grad(set_to_none=True)
            found = _losses(probes, tokens.of_samples(rows), labels[:, rows])
            if weights is not None:
                found = found * weights[:, rows]
            # The probes share no weight, so the gradient of the sum is each one's own.
            found.mean(dim=1).sum().backward()
            optimiser.step()
        with torch.no_grad():
            found = _losses(probes, val[0], val[1])
            now = (found * val[2]).sum(dim=1) / val[2].sum(dim=1)
            better = (now < losses) & (epoch - epochs <= kind.patience)
            losses = torch.where(better, now, losses)
            epochs = torch.where(better, epoch, epochs)
            for kept, tensor in zip(best, probes.tensors, strict=True):
                kept[better] = tensor[better]
            if (epoch - epochs >= kind.patience).all():
                break
    with torch.no_grad():
        for kept, tensor in zip(best, probes.tensors, strict=True):
            tensor.copy_(kept)
    return list(zip(epochs.tolist(), losses.tolist(), strict=True))


def _losses(probes: _Probes, tokens: FilledUp, labels: Tensor) -> Tensor:
    """The log loss of every set and sample, [sets, n]."""
    logits = probes.logits(tokens)
    flat = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    return flat.view(labels.shape)
