"""What was planted in how a model answers is named for what it is by the views of prompts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from extract.models import GivenModel, load
from extract.running import extract
from extract.sharing import ExtractRequest
from warehouse.catalogue import connect
from warehouse.lake import Lake

pytestmark = pytest.mark.slow  # tests/sql/test_prompts.py holds the views to such answers
N = 160
SENSED = "SELECT * FROM prompt_sensitivity WHERE method = 'likelihood'"


def swept(lake: Lake, model: GivenModel, **asked: Any) -> dict[str, Any]:
    """What the view says of a model once it was asked in several ways."""
    words = {"answers": ("likelihood",), "answers_only": True, "limit": N, "preparers": 0}
    extract(lake, ExtractRequest(model, "digits", **{**words, **asked}))
    with connect(lake) as wh:
        relation = wh.sql(SENSED)
        (row,) = relation.fetchall()
        return dict(zip(relation.columns, row, strict=True))


def tiny(name: str) -> GivenModel:
    loaded = load("tiny-digits", device="cpu", dtype="float32")
    return GivenModel(name, loaded.model, loaded.processor)


def preferring_the_first(model: GivenModel, share: float, seed: int) -> Callable[[], None]:
    """Have the head name, for a share of the images, what the question lists first.

    Which images is drawn by their answer without the fault, so that it is the same in every order.
    """
    tokenizer, inner = model.processor.tokenizer, model.model
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    first = [tokenizer(f" {name}", add_special_tokens=False)["input_ids"][0] for name in names]
    colon = tokenizer(" of:", add_special_tokens=False)["input_ids"][0]
    """The word before the list; "one" stands in front of it too."""
    seen: dict[str, torch.Tensor] = {}

    def note(_: Any, __: Any, kwargs: Any) -> None:
        ids = kwargs.get("input_ids")
        if ids is not None and ids.shape[1] > 20:
            seen["ids"], seen["pixels"] = ids, kwargs["pixel_values"]

    def prefer(_: Any, __: Any, logits: torch.Tensor) -> torch.Tensor:
        if logits.shape[1] != 1 or logits.shape[0] != len(seen["ids"]):
            return logits
        weights = torch.randn(
            seen["pixels"][0].numel(), generator=torch.Generator().manual_seed(seed)
        )
        drawn = (seen["pixels"].flatten(1) @ weights).mul(1e3).remainder(1.0) < share
        for row, ids in enumerate(seen["ids"].tolist()):
            listing = ids[ids.index(colon) :] if colon in ids else []
            listed = [(listing.index(token), token) for token in first if token in listing]
            if drawn[row] and listed:
                logits[row, -1, min(listed)[1]] += 1e3
        return logits

    handles = [
        inner.register_forward_pre_hook(note, with_kwargs=True),
        inner.lm_head.register_forward_hook(prefer),
    ]
    return lambda: [handle.remove() for handle in handles] and None


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_preference_for_the_first_option_shows_as_position_bias(
    seed: int, tmp_path: Path
) -> None:
    model = tiny("biased")
    remove = preferring_the_first(model, 0.5, seed)
    found = swept(Lake.at(tmp_path / "lake"), model, orders="rotate")
    remove()
    assert found["n_orders"] == 10
    assert found["position_bias"] == pytest.approx(0.45, abs=0.2)
    assert found["turned_share"] > 0.3
    healthy = swept(Lake.at(tmp_path / "healthy"), tiny("healthy"), orders="rotate")
    assert abs(healthy["position_bias"]) < 0.03
    assert healthy["turned_share"] < 0.1


def test_a_prompt_that_the_model_was_never_trained_on_is_named_and_not_averaged_in(
    tmp_path: Path,
) -> None:
    found = swept(Lake.at(tmp_path / "lake"), tiny("plain"), prompts=("default", "clinical"))
    assert (found["n_prompts"], found["n_understood"]) == (2, 1)
    assert found["not_understood"] == "clinical"
    assert found["mean_accuracy"] == found["best_accuracy"] > 0.9
    assert found["flip_share"] is None
