"""Online code length: how many bits the train labels cost somebody who holds the vectors.

Voita & Titov 2020, "Information-theoretic probing with minimum description length": the labels are
sent in portions, the first with a uniform code, each later one with the code of a probe trained on
all portions before. A locus where the class is easy to learn from few samples has a short code,
even where its accuracy after all of train is no better.
"""

import math
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.devices import choose_device
from analysis.measures.measure import Measure, Tables, Work, add_measure, place
from analysis.metrics import true_logprobs
from analysis.probes import LabelledVectors, LinearProbe, Samples, fit_linear
from warehouse.errors import LayerhouseError
from warehouse.lake import Lake
from warehouse.progress import Progress

# Shares of train after which a portion ends, as in the paper.
SHARES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1.0)
SEEDS = 5


def add_code_lengths(
    lake: Lake,
    model_id: str,
    dataset_id: str,
    *,
    seeds: int = SEEDS,
    progress: Progress | None = None,
) -> int:
    """Store the code length of every cell for `seeds` orders of train.

    Every portion's penalty is the one with the lowest log loss on val. Orders depend on the dataset
    and the seed only. Under folds another one is val for every seed, and the labels of all others
    are sent. Returns at how many loci something was added.
    """
    probe = LinearProbe(device=choose_device())

    def compute(work: Work) -> Tables:
        rows = []
        for seed in range(seeds):
            sent, val = sent_and_val(work.samples, seed)
            labels = work.samples.class_index[sent]
            ends = portion_ends(len(labels), len(np.unique(labels)))
            sent = sent[portion_order(labels, dataset_id, seed)]
            bits = online_bits(work, sent, val, ends, probe)
            uniform = len(labels) * math.log2(work.samples.n_classes)
            rows += [
                place(work, cell)
                | {
                    "seed": seed,
                    "n_train": len(labels),
                    "portions": ends,
                    "online_bits": float(spent),
                    "uniform_bits": uniform,
                }
                for cell, spent in zip(work.cells, bits, strict=True)
            ]
        return {"code_length": rows}

    settings = {"seeds": seeds, "shares": list(SHARES)}
    measure = Measure("probe-code-length", "code_length", settings, compute)
    return add_measure(lake, model_id, dataset_id, measure, progress)


def sent_and_val(samples: Samples, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of the samples whose labels are sent, and of those that penalties are chosen on.

    Under folds the seeds take the folds of one repetition after the other.
    """
    every = np.arange(len(samples.ids))
    if samples.folds is None:
        return every[samples.rows("train")], every[samples.rows("val")]
    n_folds = int(samples.folds.max()) + 1
    is_val = samples.folds[seed // n_folds % len(samples.folds)] == seed % n_folds
    return every[~is_val], every[is_val]


def portion_order(labels: NDArray[np.int64], dataset_id: str, seed: int) -> NDArray[np.int64]:
    """An order of the train samples in which every beginning is as mixed as the whole.

    One sample of every class comes first, so that no probe meets a class it never saw. labels, and
    the indexes returned: [n train samples].
    """
    text = f"code_length\0{dataset_id}\0{seed}"
    entropy = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
    drawn = np.random.default_rng(entropy).permutation(len(labels))
    place_of = np.empty(len(labels))
    for label in np.unique(labels):
        own = drawn[labels[drawn] == label]
        place_of[own] = (np.arange(len(own)) + 0.5) / len(own)
        place_of[own[0]] = 0.0
    return np.asarray(drawn[np.argsort(place_of[drawn], kind="stable")])


def portion_ends(n_train: int, n_classes: int) -> list[int]:
    """Where portions end; the first is long enough to show every class twice."""
    if n_train <= 2 * n_classes:
        raise LayerhouseError(
            f"{n_train} train samples of {n_classes} classes are too few for a code length; it "
            f"needs more than {2 * n_classes}"
        )
    ends = {min(max(round(share * n_train), 2 * n_classes), n_train) for share in SHARES}
    return sorted(ends)


def online_bits(
    work: Work,
    sent: NDArray[np.int64],
    val: NDArray[np.int64],
    ends: list[int],
    probe: LinearProbe,
) -> NDArray[np.float64]:
    """Bits of the whole code of the samples at the places `sent`, in that order, one number per
    cell: [cells]."""
    n_classes = work.samples.n_classes
    labels = torch.from_numpy(work.samples.class_index)
    train, truth = work.vectors[:, torch.from_numpy(sent)], labels[torch.from_numpy(sent)]
    chosen_on = work.vectors[:, torch.from_numpy(val)]
    val_labels = labels[torch.from_numpy(val)]
    bits = np.full(len(work.cells), ends[0] * math.log2(n_classes))
    for start, stop in pairwise(ends):
        # Copies, since fitting standardises in place.
        fits = fit_linear(
            LabelledVectors(_moved(train[:, :start], probe), truth[None, :start].to(probe.device)),
            LabelledVectors(_moved(chosen_on, probe), val_labels[None].to(probe.device)),
            _moved(train[:, start:stop], probe),
            n_classes,
            choose="log_loss",
        )
        logprobs = true_logprobs(truth[start:stop].numpy(), fits.test_logits[:, 0])
        bits -= logprobs.sum(axis=-1) / math.log(2)
    return bits


def _moved(features: torch.Tensor, probe: LinearProbe) -> torch.Tensor:
    return features.to(probe.device, probe.dtype, copy=True)
