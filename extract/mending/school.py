"""The school: a model's train and val samples as batches, what it must say to them, its marks."""

import random
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from extract.answering import appended
from extract.mending.peers import ALONE, Peers
from extract.mending.recipe import MendRecipe
from extract.mending.unfinished import Unfinished
from extract.models import Session
from extract.running import OpenedModel, Prepared, Preparer, Stopwatch, ahead, runner_of
from extract.sharing import Job
from warehouse.catalogue import fitting_weights
from warehouse.errors import LayerhouseError
from warehouse.lake import sample_order
from warehouse.vocabulary import ACCURACY, LIKELIHOOD

IGNORED = -100
"""torch's mark for a target that does not count."""
KEPT_BYTES = 2**30
"""Prepared batches are kept between epochs up to this size, else prepared anew in each."""


@dataclass
class Lessons:
    """The samples of one split in batches that stay what they are from epoch to epoch."""

    preparer: Preparer
    classes: dict[str, int]
    batches: list[list[str]]
    _kept: dict[int, Prepared] = field(default_factory=dict)

    @property
    def n(self) -> int:
        return sum(map(len, self.batches))

    def __call__(self, order: Sequence[int] | None = None) -> Iterator[tuple[Prepared, Tensor]]:
        """The batches of samples that can be read, with these samples' class indices."""
        for prepared, classes in self.each(range(len(self.batches)) if order is None else order):
            if prepared.sample_ids:
                yield prepared, classes

    def each(self, order: Sequence[int]) -> Iterator[tuple[Prepared, Tensor]]:
        """The batches of these numbers; one may hold no sample that can be read."""
        missing = [number for number in order if number not in self._kept]
        fresh = ahead(self.preparer, (self.batches[number] for number in missing))
        for number in order:
            prepared = self._kept[number] if number in self._kept else next(fresh)
            if number not in self._kept and self._fits(prepared):
                self._kept[number] = prepared
            yield prepared, torch.tensor([self.classes[name] for name in prepared.sample_ids])

    def _fits(self, prepared: Prepared) -> bool:
        tensors = (v for v in prepared.inputs.values() if isinstance(v, torch.Tensor))
        return sum(v.nbytes for v in tensors) * len(self.batches) <= KEPT_BYTES


@dataclass
class School:
    """An opened model with what it is taught and what it is examined on.

    `targets` [classes, longest] are the tokens that name each class, `IGNORED` behind them;
    `weights` [classes] what a train sample of each weighs; `unfinished` is where a training is kept
    from epoch to epoch, None if it is not; `peers` shares the batches.
    """

    job: Job
    opened: OpenedModel
    recipe: MendRecipe
    train: Lessons
    val: Lessons
    targets: Tensor
    weights: Tensor
    unfinished: Unfinished | None = None
    peers: Peers = ALONE

    @property
    def session(self) -> Session:
        return self.opened.session

    def answers(self, classes: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens of these classes [n, longest], as they are read and as they are scored."""
        scored = self.targets[classes]
        filled = scored.where(scored != IGNORED, self.targets[:1, :1])
        return filled.to(self.session.loaded.device), scored.to(self.session.loaded.device)

    def logits(self, prepared: Prepared, classes: Tensor) -> tuple[Tensor, Tensor]:
        """What the model says while it is given the right answers: fp32 [n, longest, vocabulary],
        and the tokens that it should say [n, longest].
        """
        read, scored = self.answers(classes)
        inputs = appended(self.session.on_device(prepared.inputs), read)
        n = scored.shape[1] + 1
        keeping = self.session.logits_of_last(n)
        output = self.session.model(**inputs, use_cache=False, **keeping)
        return output.logits[:, -n:-1].float(), scored

    def loss(self, prepared: Prepared, classes: Tensor) -> Tensor:
        """Mean negative log-likelihood of a token of the right answers, as their classes weigh."""
        logits, scored = self.logits(prepared, classes)
        losses = nn.functional.cross_entropy(
            logits.transpose(1, 2), scored, ignore_index=IGNORED, reduction="none"
        )
        weights = self.weights[classes].to(losses)
        return (losses.sum(dim=1) * weights).sum() / (scored != IGNORED).sum()

    def n_tokens(self, classes: Tensor) -> int:
        """How many tokens the right answers have."""
        return int((self.targets[classes] != IGNORED).sum())

    def examine(self, batches: Sequence[int] | None = None) -> tuple[float, float]:
        """The dataset's score on val (or batches of it), by the likelihoods that `extract` stores,
        and the mean negative log-probability of the right class among the classes.
        """
        asked = range(len(self.val.batches)) if batches is None else batches
        mine, found = self.peers.share(asked), {}
        with runner_of(self.opened, (), {}, Stopwatch()) as runner:
            for number, (prepared, classes) in zip(mine, self.val.each(mine), strict=True):
                if not prepared.sample_ids:
                    continue
                answers = runner.run(prepared, (), (LIKELIHOOD,))().answers
                said = {answer.sample_id: answer.logprobs for answer in answers}
                found[number] = [said[name] for name in prepared.sample_ids], classes.tolist()
        held = ChainMap(*self.peers.gathered(found))
        scores = [one for number in sorted(held) for one in held[number][0]]
        truth = [one for number in sorted(held) for one in held[number][1]]
        if not truth:
            raise LayerhouseError(
                f"no image of {self.job.dataset_id}'s val split could be read; `layerhouse "
                "extract` says of each why"
            )
        return marks(np.array(scores), np.array(truth), self.job.info.score)


def marks(logprobs: Any, truth: Any, score: str) -> tuple[float, float]:
    """Score and log loss of likelihoods [n, classes] against class indices [n], for balanced
    accuracy both as means over the classes' own.
    """
    if not np.isfinite(logprobs).all():
        return 0.0, float("inf")
    right = logprobs.argmax(axis=1) == truth
    shifted = logprobs - logprobs.max(axis=1, keepdims=True)
    told = shifted[np.arange(len(truth)), truth] - np.log(np.exp(shifted).sum(axis=1))
    if score == ACCURACY:
        return float(right.mean()), float(-told.mean())
    parts = [(right[truth == c].mean(), told[truth == c].mean()) for c in np.unique(truth)]
    recall, likelihood = np.mean(parts, axis=0)
    return float(recall), float(-likelihood)


def class_weights(score: str, labels: Any, n_classes: int) -> Tensor:
    """What a sample of each class weighs [classes] where samples have these labels [n]."""
    weights = fitting_weights(score, labels)
    if weights is None:
        return torch.ones(n_classes)
    of_class = torch.zeros(n_classes)
    of_class[torch.from_numpy(labels)] = torch.from_numpy(weights).float()
    return of_class


def taught_samples(job: Job, fold: int | None) -> dict[str, list[str]]:
    """The samples of train and of val in the order in which they are learned.

    Under folds those of all folds but `fold` and the next, and of the next; what the model is not
    scored on, since it saw it before, is in neither, as for probes.
    """
    samples, folds, n_folds = job.info.samples, job.info.folds, job.info.n_folds
    part = dict(samples.select("sample_id", "split").iter_rows())
    if fold is not None and folds is not None and n_folds is not None:
        named = {fold: "test", (fold + 1) % n_folds: "val"}
        dealt = zip(samples["sample_id"], folds[:, 0].tolist(), strict=True)
        part = {name: named.get(own, "train") for name, own in dealt}
        part |= dict.fromkeys(job.seen.sample_ids, "test")
    order = sample_order(samples["sample_id"])
    return {split: [n for n in order if part[n] == split] for split in ("train", "val")}


def open_school(
    job: Job,
    opened: OpenedModel,
    recipe: MendRecipe,
    taught: Mapping[str, Sequence[str]],
    unfinished: Unfinished | None = None,
    peers: Peers = ALONE,
) -> School:
    """A model's lessons, of the samples that are `taught` by split.

    Raises LayerhouseError for a split without samples.
    """
    rows = job.info.samples
    labels = dict(rows.select("sample_id", "class_index").iter_rows())
    preparer = Preparer(opened.session, job.info.uris, max_pixels=job.request.max_pixels)
    size = recipe.batch_size if opened.batching else 1
    found = {}
    for split in ("train", "val"):
        names = list(taught[split])
        if split == "train":
            names = names[: recipe.images]
        if not names:
            raise LayerhouseError(
                f"{job.dataset_id} has no samples in {split}, which a repair learns from or is "
                "chosen on"
            )
        batches = [names[start : start + size] for start in range(0, len(names), size)]
        told = _shuffled(labels, names, recipe) if split == "train" else labels
        found[split] = Lessons(preparer, told, batches)
    scored = opened.questions[None].scored
    targets = torch.full((len(scored), max(map(len, scored))), IGNORED)
    for row, tokens in zip(targets, scored, strict=True):
        row[: len(tokens)] = torch.tensor(tokens)
    learned = [found["train"].classes[name] for batch in found["train"].batches for name in batch]
    weights = class_weights(job.info.score, np.array(learned), len(scored))
    lessons = found["train"], found["val"]
    return School(job, opened, recipe, *lessons, targets, weights, unfinished, peers)


def _shuffled(labels: dict[str, int], names: Sequence[str], recipe: MendRecipe) -> dict[str, int]:
    if not recipe.shuffled:
        return labels
    told = [labels[name] for name in names]
    random.Random(recipe.seed).shuffle(told)
    return dict(zip(names, told, strict=True))
