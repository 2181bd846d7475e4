"""Every family that transformers loads natively goes through the ordinary agent, and rightly.

What the agent stored is compared with references that use no hooks: the model's own
`output_hidden_states` and `get_image_features`, one image at a time, a full forward pass for every
class phrase, and `generate`.
"""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ImageOps

from extract.anatomy.loci import discover
from extract.models.loading import load
from extract.models.prompt_entries import Wording
from extract.models.prompts import build_prompt, phrase_tokens
from extract.models.session import Session, open_session
from extract.running.extraction import ExtractRequest, extract
from tests.extract.conftest import FamilyFolders
from tests.extract.sessions import Opened, opened, slow_scores
from tests.extract.tiny_families import FAMILIES
from tests.tables import tables
from warehouse.catalogue.samples import dataset
from warehouse.errors import LayerhouseError, UsageError
from warehouse.images import open_image
from warehouse.lake.lake import Lake

# One of each way to see and to answer; `make test-slow` and `make test-transformers` take all.
WAYS = ("llava", "qwen2_5_vl", "gemma3", "mllama", "blip_2", "idefics2", "janus")
EVERY_WAY = [
    name if name in WAYS else pytest.param(name, marks=pytest.mark.slow)
    for name in FAMILIES
    if name != "florence2"
]
PHRASES = ["benign", "malignant"]
NEW_TOKENS = 12
OWN_LANGUAGE_MODEL = ("blip_2", "instructblip")
POSITIONED = ("blip_2",)  # OPT adds learned positions before its first block
CLS_FIRST = ("llava", "llava_next", "internvl")
IMAGE_INPUTS = (
    "pixel_values",
    "image_sizes",
    "image_grid_thw",
    "image_merge_sizes",
    "target_sizes",
    "image_position_ids",
    "pixel_attention_mask",
)
LIMIT = 3


@dataclass(frozen=True)
class Extracted:
    """What the agent stored about one family, and a session of the same model.

    `vectors` are by (module, layer, readout, sample), `answers` by (sample, method).
    """

    family: str
    folder: Path
    session: Session
    uris: dict[str, str]
    vectors: dict[tuple[str, int, str, str], np.ndarray[Any, Any]]
    answers: dict[tuple[str, str], tuple[Any, ...]]

    @property
    def samples(self) -> list[str]:
        return sorted({name for name, _ in self.answers})

    def images(self) -> Iterator[tuple[str, Any]]:
        for name in self.samples:
            image = open_image(self.uris[name])
            yield name, self.session.on_device(self.session.encode([image]))


@pytest.fixture(scope="module", params=EVERY_WAY)
def extracted(
    request: pytest.FixtureRequest,
    family_folder: FamilyFolders,
    registered_lake: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Extracted:
    family = str(request.param)
    if family == "smolvlm":
        pytest.importorskip("num2words", reason="transformers' SmolVLM processor needs num2words")
    folder = family_folder(family)
    lake = Lake.at(tmp_path_factory.mktemp(family) / "lake")
    shutil.copytree(registered_lake, lake.root)
    request = ExtractRequest(str(folder), "pictures", limit=LIMIT, max_new_tokens=NEW_TOKENS)
    summary = extract(lake, request)
    assert summary.added
    assert summary.n_samples == LIMIT
    with tables(lake) as wh:
        uris = dict(dataset(wh, "pictures").samples.select("sample_id", "uri").iter_rows())
        vectors = wh.sql("SELECT module, layer, readout, sample_id, vector FROM activation")
        found = {tuple(row[:4]): np.array(row[4]) for row in vectors.fetchall()}
        answers = wh.sql(
            "SELECT sample_id, method, predicted_class_index, label_logprobs, text, label_pmi, "
            "end_token FROM answer"
        )
        said = {(name, method): tuple(rest) for name, method, *rest in answers.fetchall()}
    assert len(found) == summary.n_vectors
    session = open_session(load(str(folder)), Wording(build_prompt(PHRASES)))
    return Extracted(family, folder, session, uris, found, said)


def test_what_the_agent_stored_equals_hook_free_references(extracted: Extracted) -> None:
    for name, inputs in extracted.images():
        with torch.inference_mode():
            output = extracted.session.model(**inputs, output_hidden_states=True)
        _compare_decoder(extracted, name, inputs, output)
        _compare_connector(extracted, name, inputs)
        _compare_tower(extracted, name, inputs)


def _compare_decoder(extracted: Extracted, name: str, inputs: Any, output: Any) -> None:
    if extracted.family in OWN_LANGUAGE_MODEL:
        output = output.language_model_outputs
    session, states = extracted.session, output.hidden_states
    n_layers = len(session.anatomy.of("llm"))
    assert len(states) == n_layers  # input of the first block, blocks but the last, final norm
    mask = session.facts(inputs).image_mask[0]
    expected = {layer: states[layer + 1][0] for layer in range(n_layers - 2)}
    expected[n_layers - 1] = states[-1][0]
    for layer, rows in expected.items():
        last = extracted.vectors["llm", layer, "last", name]
        np.testing.assert_allclose(last, rows[-1], rtol=1e-3, atol=1e-3)
        if mask.any():
            mean = extracted.vectors["llm", layer, "mean", name]
            np.testing.assert_allclose(mean, rows[mask].mean(dim=0), rtol=1e-3, atol=1e-3)


def _compare_connector(extracted: Extracted, name: str, inputs: Any) -> None:
    """The connector's mean is that of the features the model itself reports."""
    features = _image_features(extracted.session, inputs)
    if features is None or extracted.session.anatomy.crosses or extracted.family in POSITIONED:
        return
    pooled = features.pooler_output
    parts = pooled if isinstance(pooled, list | tuple) else [pooled]
    rows = torch.cat([part.reshape(-1, part.shape[-1]) for part in parts])
    counted = int(extracted.session.facts(inputs).image_mask.sum())
    if rows.shape[0] == counted:
        stored = extracted.vectors["connector", 0, "mean", name]
        np.testing.assert_allclose(stored, rows.mean(dim=0), rtol=1e-3, atol=1e-3)


def _compare_tower(extracted: Extracted, name: str, inputs: Any) -> None:
    """Blocks of plain towers, from the hidden states that the tower itself reports."""
    tower = extracted.session.model.get_submodule(extracted.session.anatomy.tower)
    pixels = inputs["pixel_values"]
    if extracted.family not in (*CLS_FIRST, "llava_siglip_qwen2", "gemma3", "paligemma"):
        return
    with torch.inference_mode():
        states = tower(pixels.flatten(0, -4), output_hidden_states=True).hidden_states
    prefix = int(extracted.family in CLS_FIRST)
    for layer in range(len(states) - 1):
        rows = states[layer + 1]
        mean = extracted.vectors["vision", layer, "mean", name]
        expected = rows[:, prefix:].flatten(0, 1).mean(dim=0)
        np.testing.assert_allclose(mean, expected, rtol=1e-3, atol=1e-3)
        if prefix:
            cls = extracted.vectors["vision", layer, "cls", name]
            np.testing.assert_allclose(cls, rows[0, 0], rtol=1e-3, atol=1e-3)


def _image_features(session: Session, inputs: Any) -> Any:
    method = getattr(session.model, "get_image_features", None)
    if method is None:
        return None
    known = inspect.signature(method).parameters
    given = {
        key: value
        for key, value in inputs.items()
        if (key in known or key in IMAGE_INPUTS) and key != "input_ids"
    }
    with torch.inference_mode():
        features = method(**given)
    return features if hasattr(features, "pooler_output") else None


def test_stored_answers_equal_slow_ones(extracted: Extracted) -> None:
    assert len(extracted.answers) == 2 * LIMIT
    session = extracted.session
    question = build_prompt(PHRASES)
    processor = session.loaded.processor
    phrases = phrase_tokens(processor, Wording(question), PHRASES)
    ends = _written_end(processor)
    phrases = [[*phrase, processor.tokenizer.convert_tokens_to_ids(ends)] for phrase in phrases]
    prior = _unseeing_scores(session, question, phrases)
    for name in extracted.samples:
        image = open_image(extracted.uris[name])
        expected = slow_scores(session, image, phrases)
        predicted, logprobs, _, pmi, end = extracted.answers[name, "likelihood"]
        np.testing.assert_allclose(logprobs, expected, rtol=1e-3, atol=1e-2)
        np.testing.assert_allclose(pmi, expected - prior, rtol=1e-3, atol=2e-2)
        assert predicted == expected.argmax()
        assert end == ends
        assert extracted.answers[name, "generate"][2] == _generated(session, image)


def _written_end(processor: Any) -> str:
    """What the chat template writes behind a reply if that is one token, else the tokenizer's."""
    behind = ""
    if processor.chat_template:
        turns = [("user", "question"), ("assistant", "reply")]
        said = [{"role": r, "content": [{"type": "text", "text": t}]} for r, t in turns]
        behind = processor.apply_chat_template(said, tokenize=False).partition("reply")[2].lstrip()
    added = map(str, processor.tokenizer.added_tokens_decoder.values())
    ends = [token for token in added if behind.startswith(token)]
    return str(max(ends, key=len, default=processor.tokenizer.eos_token))


def _unseeing_scores(session: Session, question: str, phrases: list[list[int]]) -> Any:
    """Log-likelihood of every phrase after the question alone, by a full forward pass for each."""
    processor, model = session.loaded.processor, session.model
    asked = f"{question}\n"
    if processor.chat_template:
        turn = [{"role": "user", "content": [{"type": "text", "text": question}]}]
        asked = processor.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    bos = processor.tokenizer.bos_token
    special = {"add_special_tokens": False} if bos and asked.startswith(bos) else {}
    ids = processor.tokenizer(asked, **special)["input_ids"]
    if session.anatomy.model_type in ("blip-2", "instructblip"):
        model = model.language_model
    scores = []
    for phrase in phrases:
        given = {"input_ids": torch.tensor([[*ids, *phrase]])}
        if session.anatomy.model_type == "paligemma":
            given["token_type_ids"] = torch.tensor([[0] * len(ids) + [1] * len(phrase)])
        with torch.inference_mode():
            logits = model(**given).logits[0, -len(phrase) - 1 : -1].float()
        scores.append(float(logits.log_softmax(dim=-1)[range(len(phrase)), phrase].sum()))
    return np.array(scores)


def _generated(session: Session, image: Any) -> str:
    inputs = session.on_device(session.encode([image]))
    tokenizer = session.loaded.processor.tokenizer
    stops = [tokenizer.eos_token_id]
    with torch.inference_mode():
        tokens = session.model.generate(
            **inputs, max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=stops
        )[0]
    start = inputs["input_ids"].shape[1]
    if tokens[:start].tolist() == inputs["input_ids"][0].tolist():
        tokens = tokens[start:]
    return str(tokenizer.decode(tokens, skip_special_tokens=True)).strip()


def test_faults_take_effect_at_their_stage_and_leave_no_trace(extracted: Extracted) -> None:
    model = opened(extracted.folder)
    healthy_logits, healthy = model.run()
    donors = [ImageOps.invert(picture) for picture in model.pictures]
    order = [locus.name for locus in model.session.anatomy.loci]
    sites = {"connector": "connector.0", "llm": model.session.anatomy.of("llm")[-2].name}
    assert model.session.vision_exit is not None
    sites["vision"] = model.session.vision_exit.name
    for stage, site in sites.items():
        for kind in ("swap", "noise"):
            logits, read = model.run([f"{kind}@{stage}"], donors)
            assert not torch.equal(logits, healthy_logits), f"{kind}@{stage} never reached answer"
            changed = {c[0] for c, v in read.items() if not np.array_equal(v, healthy[c])}
            assert site in changed
            assert not changed & set(order[: order.index(site)])
    for spec in ("drop@connector:0.9", "rank@connector:1", "quantise@connector:1", "block@llm:1"):
        if spec.startswith("block") and not _can_block(model):
            with pytest.raises((LayerhouseError, UsageError), match=r"cannot be blocked|looks at"):
                model.run([spec])
            continue
        logits, _ = model.run([spec])
        assert not torch.equal(logits, healthy_logits), f"{spec} never reached the answer"
    logits, read = model.run(["head@answer"])
    assert not torch.equal(logits, healthy_logits)
    assert all(np.array_equal(values, healthy[cell]) for cell, values in read.items())
    again_logits, again = model.run()
    assert torch.equal(again_logits, healthy_logits)
    assert all(np.array_equal(values, healthy[cell]) for cell, values in again.items())


def _can_block(model: Opened) -> bool:
    """Whether its decoder attends to image tokens of the prompt, in every layer."""
    text = model.session.model.config.get_text_config(decoder=True)
    linear = any("linear" in kind for kind in getattr(text, "layer_types", None) or ())
    return not (linear or model.session.anatomy.crosses)


def test_an_encoder_decoder_is_refused_in_one_sentence(family_folder: FamilyFolders) -> None:
    loaded = load(str(family_folder("florence2")))
    with pytest.raises(LayerhouseError, match="florence2 has an encoder-decoder language model"):
        discover(loaded.model)


def test_a_text_only_model_is_refused(tmp_path: Path, family_folder: FamilyFolders) -> None:
    import transformers

    config = transformers.LlamaConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        vocab_size=32,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json", "processor_config.json"):
        (tmp_path / name).write_bytes((family_folder("llava") / name).read_bytes())
    with pytest.raises(LayerhouseError, match="llama model, which takes no images"):
        load(str(tmp_path))
