"""A flipped bit in a record or a shard is refused, or changes nothing; it is never served wrong."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from tests.warehouse.small_lakes import DATASET, MODEL, rows_of, small_lake
from warehouse.catalogue.refreshing import connect, refresh
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake

FLIPS = int(os.environ.get("LAYERHOUSE_TRUST_FLIPS", "25"))
LOCI = [("vision", 0), ("vision", 1), ("llm", 0)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = small_lake(tmp_path_factory.mktemp("flips") / "lake")
    refresh(lake)
    return lake


def _small(lake: Lake) -> Any:
    return rows_of(lake, "sample", "class", "dataset", "answer", "run")


def _vectors(lake: Lake) -> Any:
    with connect(lake) as wh:
        found = [wh.vectors(MODEL, DATASET, *cell, "mean") for cell in LOCI]
    return [(ids, np.asarray(matrix).tobytes()) for ids, matrix in found]


KINDS = {
    "record": ("commits/*.json", _small),
    "small table": ("[!a]*/part-*.parquet", _small),
    "answers": ("answer/**/*.parquet", _small),
    "vectors": ("activation/**/*.parquet", _vectors),
}


def _extent(content: bytes, kind: str) -> int:
    """Where flips go: of vectors into their pages, which have checksums as no footer has; that is
    for `status --verify`, which compares all bytes."""
    footer = int.from_bytes(content[-8:-4], "little") + 8 if kind == "vectors" else 0
    return len(content) - footer


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_never_served(lake: Lake, kind: str) -> None:
    pattern, read = KINDS[kind]
    files = sorted(lake.root.glob(pattern))
    assert files
    right, outcomes, chance = read(lake), Counter[str](), random.Random(0)
    for _ in range(FLIPS):
        path = chance.choice(files)
        sound = path.read_bytes()
        damaged, place = bytearray(sound), chance.randrange(_extent(sound, kind))
        damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            outcome = "served right" if read(lake) == right else f"served wrong: {path}, {place}"
        except LayerhouseError as error:
            outcome = "refused" if str(error).isprintable() else f"badly said: {error}"
        finally:
            path.write_bytes(sound)
        outcomes[outcome] += 1
    assert set(outcomes) <= {"refused", "served right"}, outcomes
    assert outcomes["refused"], outcomes
    print(f"flips of {kind}: {dict(outcomes)}")  # noqa: T201 - figures for the note
