"""Which part of a dataset a tiny model is trained on, so that the rest can be evidence."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from hashlib import blake2b

import polars as pl

from warehouse.catalogue import DatasetInfo

VAL_SHARE = 0.25
"""Of the samples that are taken, those that choose the epoch."""


def with_share(info: DatasetInfo, share: float) -> DatasetInfo:
    """The dataset with that share of every class in train and val, whatever it was in before, and
    all others in test; whole groups, the same ones for every model."""
    taken = _groups(info.samples, share, "taken")
    mine = info.samples.filter(pl.col("group_id").is_in(taken))
    val = _groups(mine, VAL_SHARE, "val")
    split = (
        pl.when(pl.col("group_id").is_in(val))
        .then(pl.lit("val"))
        .when(pl.col("group_id").is_in(taken))
        .then(pl.lit("train"))
        .otherwise(pl.lit("test"))
    )
    return replace(info, samples=info.samples.with_columns(split.alias("split")))


def _groups(samples: pl.DataFrame, share: float, salt: str) -> Collection[str]:
    """Groups in an order of hashes, each taken while its most frequent class has too few."""
    wanted = {name: share * n for name, n in Counter(samples["class_index"]).items()}
    classes: dict[str, Counter[int]] = {}
    for group, index in samples.select("group_id", "class_index").iter_rows():
        classes.setdefault(group, Counter())[index] += 1
    held: Counter[int] = Counter()
    taken = []
    for group in sorted(classes, key=lambda name: blake2b(f"{salt}\0{name}".encode()).digest()):
        first = min(classes[group], key=lambda name: (-classes[group][name], name))
        if held[first] < wanted[first]:
            held.update(classes[group])
            taken.append(group)
    return taken
