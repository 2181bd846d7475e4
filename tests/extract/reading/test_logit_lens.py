"""The logit lens ends in what the model itself says, for every family, and changes with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extract.answering.phrases import telling_tokens
from extract.faults.label_tokens import label_permutation
from extract.faults.spec import parse_fault
from extract.models.loading import load
from extract.models.prompt_entries import Wording
from extract.models.prompts import build_prompt, phrase_tokens
from extract.models.session import open_session
from extract.reading.logit_lens import open_lens
from extract.running.extraction import ExtractRequest, extract
from tests.extract.conftest import FamilyFolders
from tests.extract.sessions import Opened, opened
from tests.tables import tables
from warehouse.catalogue.samples import dataset
from warehouse.images import open_image
from warehouse.lake.lake import Lake

FAMILIES = (
    *("llava", "qwen2_5_vl", "mllama"),
    *(pytest.param(f, marks=pytest.mark.slow) for f in ("gemma3", "blip_2", "instructblip")),
    pytest.param("idefics3", marks=pytest.mark.slow),
)
LIMIT = 3
PHRASES = ["benign", "malignant"]


def _lens_rows(lake: Lake) -> dict[tuple[int, str], tuple[list[float], int]]:
    query = "SELECT layer, sample_id, label_logprobs, predicted_class_index FROM logit_lens"
    with tables(lake) as wh:
        rows = wh.sql(query).fetchall()
    found = {(layer, name): (logprobs, predicted) for layer, name, logprobs, predicted in rows}
    assert len(found) == len(rows), "a lens was written twice"
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_lens_is_the_models_own_answer(
    family: str, family_folder: FamilyFolders, lake: Lake
) -> None:
    """Against a plain forward pass without hooks: logits of the classes' first tokens."""
    folder = family_folder(family)
    extract(lake, ExtractRequest(str(folder), "pictures", max_new_tokens=4, limit=LIMIT))
    found = _lens_rows(lake)
    session = open_session(load(str(folder)), Wording(build_prompt(PHRASES)))
    tokens = telling_tokens(
        phrase_tokens(session.loaded.processor, Wording(build_prompt(PHRASES)), PHRASES)
    )
    n_layers = len(session.anatomy.of("llm"))
    samples = {name for _, name in found}
    assert len(samples) == LIMIT
    assert set(found) == {(layer, name) for layer in range(n_layers) for name in samples}
    with tables(lake) as wh:
        uris = dict(dataset(wh, "pictures").samples.select("sample_id", "uri").iter_rows())
    decided = set()
    for name in samples:
        inputs = session.on_device(session.encode([open_image(uris[name])]))
        with torch.inference_mode():
            logits = session.model(**inputs).logits[0, -1, tokens].float()
        expected = torch.log_softmax(logits, dim=-1).numpy()
        # The last block and the final norm behind it are two loci with one lens.
        for layer in (n_layers - 2, n_layers - 1):
            logprobs, predicted = found[layer, name]
            np.testing.assert_allclose(logprobs, expected, atol=1e-3)
            assert predicted == expected.argmax()
        decided |= {tuple(np.round(found[layer, name][0], 4)) for layer in range(n_layers)}
    assert len(decided) > n_layers, "the lens does not change along the layers"


@pytest.mark.slow
def test_a_lens_comes_with_the_last_readouts_and_only_with_them(
    llava_folder: Path, lake: Lake
) -> None:
    asked = ExtractRequest(
        str(llava_folder), "pictures", max_new_tokens=4, modules=["llm"], layers=["0", "1"]
    )
    extract(lake, asked)
    assert {layer for layer, _ in _lens_rows(lake)} == {0, 1}
    extract(lake, ExtractRequest(str(llava_folder), "pictures", max_new_tokens=4, modules=["llm"]))
    layers = [layer for layer, _ in _lens_rows(lake)]
    assert len(layers) == len(set(layers)) * 12
    with tables(lake) as wh:
        shown = wh.sql("SELECT DISTINCT layer FROM activation WHERE readout = 'last'").fetchall()
    assert set(layers) == {layer for (layer,) in shown}


def test_permuted_label_rows_show_in_the_lens(llava: Opened) -> None:
    fault = parse_fault("head@answer")
    inputs = llava.session.encode(llava.pictures[:1])
    permuted = label_permutation([fault], llava.phrases)
    lens, missing = open_lens(llava.session, inputs, llava.phrases, permuted)
    assert missing is None
    assert lens is not None
    logits, read = llava.run(["head@answer"], pictures=llava.pictures[:1])
    final = llava.session.anatomy.of("llm")[-1]
    states = torch.from_numpy(read[final.name, "last"])
    expected = torch.log_softmax(logits[:, telling_tokens(llava.phrases)], dim=-1)
    torch.testing.assert_close(lens(final.layer, states), expected, atol=1e-4, rtol=0)
    healthy, _ = open_lens(llava.session, inputs, llava.phrases)
    assert healthy is not None
    assert not torch.allclose(healthy(final.layer, states), expected, atol=1e-3)


def test_capped_logits_are_capped_in_the_lens(family_folder: FamilyFolders, tmp_path: Path) -> None:
    """Gemma squeezes its logits into a range after the unembedding."""
    folder = tmp_path / "gemma4"
    shutil.copytree(family_folder("gemma4"), folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["final_logit_softcapping"] = 0.5
    (folder / "config.json").write_text(json.dumps(config))
    model = opened(folder)
    inputs = model.session.encode(model.pictures[:1])
    lens, _ = open_lens(model.session, inputs, model.phrases)
    assert lens is not None
    logits, read = model.run(pictures=model.pictures[:1])
    assert float(logits.abs().max()) <= 0.5
    final = model.session.anatomy.of("llm")[-1]
    found = lens(final.layer, torch.from_numpy(read[final.name, "last"]))
    expected = torch.log_softmax(logits[:, telling_tokens(model.phrases)], dim=-1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_there_is_no_lens_where_it_would_not_end_in_the_answer(
    llava: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = llava.session
    inputs = session.encode(llava.pictures[:1])
    lens, missing = open_lens(session, inputs, [[5, 6], [5, 7], [7, 6]])
    assert lens is None
    assert "no single token" in str(missing)
    true_logits = type(session).last_logits

    def scaled(self: Any, output: Any) -> Any:
        return true_logits(self, output) * 3

    monkeypatch.setattr(type(session), "last_logits", scaled)
    lens, missing = open_lens(session, inputs, llava.phrases)
    assert lens is None
    assert "more than a norm" in str(missing)
