"""Untrained models: the same architecture, weights from a seed, and eyes that are open."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from extract.models.fingerprints import fingerprint_weights
from extract.models.loading import load
from extract.models.sources import locate
from extract.running.extraction import ExtractRequest, extract
from extract.sharing.identities import as_held
from tests.extract.conftest import FamilyFolders
from tests.tables import tables
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake


def test_the_seed_decides_every_weight_and_nothing_else_does(family_folder: FamilyFolders) -> None:
    folder = str(family_folder("llava"))
    trained = load(folder).model.state_dict()
    torch.manual_seed(7)
    one = load(locate(folder, random_seed=0)).model.state_dict()
    state = torch.random.get_rng_state()
    again = load(locate(folder, random_seed=0)).model.state_dict()
    assert torch.equal(state, torch.random.get_rng_state()), "the caller's random state moved"
    other = load(locate(folder, random_seed=1)).model.state_dict()
    assert one.keys() == trained.keys()
    matrices = [
        name for name, weight in one.items() if weight.dim() >= 2 and weight.is_floating_point()
    ]
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in matrices)
    assert not any(torch.equal(one[name], trained[name]) for name in matrices)


@pytest.mark.parametrize(
    "family",
    [
        "llava",
        pytest.param("gemma3", marks=pytest.mark.slow),
        pytest.param("mllama", marks=pytest.mark.slow),
    ],
)
def test_an_untrained_model_is_extracted_beside_the_trained_one(
    family: str, family_folder: FamilyFolders, lake: Lake
) -> None:
    """Gemma3 and Mllama start image-blind; the agent's self-check would refuse them."""
    folder = str(family_folder(family))
    for random_weights in (None, 3):
        asked = ExtractRequest(
            folder,
            "pictures",
            modules=["llm"],
            layers=["-1"],
            limit=4,
            answers=["likelihood"],
            random_weights=random_weights,
        )
        assert extract(lake, asked).added
        assert not extract(lake, asked).added
    with tables(lake) as wh:
        models = wh.sql("SELECT model_id, name, variant FROM model ORDER BY variant").fetchall()
        vectors = wh.sql(
            "SELECT model_id, vector FROM activation WHERE readout = 'last' ORDER BY ALL"
        ).fetchall()
    assert models == [(family, family, "base"), (f"{family}+random:3", family, "random:3")]
    assert len(vectors) == 8
    assert not np.allclose(vectors[0][1], vectors[4][1])


def test_an_untrained_model_needs_no_files_of_weights_and_is_the_same_without_them(
    family_folder: FamilyFolders, lake: Lake, tmp_path: Path
) -> None:
    """A run that an earlier version began, which named the weights it did not read, goes on."""
    whole, bare = family_folder("llava"), tmp_path / "llava"
    shutil.copytree(whole, bare, ignore=shutil.ignore_patterns("*.safetensors*"))
    asked = ExtractRequest(str(bare), "pictures", limit=4, random_weights=0, modules=["vision"])
    assert extract(lake, asked).added
    assert not extract(lake, replace(asked, model=str(whole))).added
    source = locate(str(whole), random_seed=0)
    held = source.identity() | {"weights": fingerprint_weights(whole)}
    assert as_held({"model": source.identity()}, [{"model": held}], source, new_prompt=False) == (
        {"model": held},
        [],
    )
    with pytest.raises(LayerhouseError, match=r"holds no \*.safetensors weights"):
        locate(str(bare))


def test_what_cannot_be_meant_is_refused(family_folder: FamilyFolders) -> None:
    folder = str(family_folder("llava"))
    with pytest.raises(UsageError, match="an adapter on random weights means nothing"):
        locate(folder, adapter=folder, random_seed=0)
    with pytest.raises(UsageError, match="must be 0 or more"):
        locate(folder, random_seed=-1)
