"""Sessions of tiny models, opened and checked as the agent does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from extract.faults.donors import DonorBatch
from extract.faults.effects import DonorFault, StruckBatch
from extract.faults.fault import Fault
from extract.faults.injector import Injector
from extract.faults.sites import complete_exits
from extract.faults.spec import parse_fault
from extract.models.loading import load
from extract.models.prompt_entries import Wording
from extract.models.prompts import build_prompt, phrase_tokens
from extract.models.session import Session, open_session
from extract.reading.reader import Reader
from extract.running.self_check import Checked, check
from tests.extract.tiny_families import picture
from warehouse.vocabulary import Cell

PHRASES = ("benign", "malignant", "normal chest x-ray")
Read = dict[tuple[str, str], np.ndarray[Any, Any]]
"""Vectors by (locus name, readout)."""


@dataclass(frozen=True)
class Opened:
    """A checked session with the phrases' tokens and two pictures it may be tried on."""

    checked: Checked
    phrases: list[list[int]]
    pictures: list[Image.Image]

    @property
    def session(self) -> Session:
        return self.checked.session

    def run(
        self,
        faults: Sequence[str] = (),
        donors: Sequence[Image.Image] | None = None,
        names: Sequence[str] = ("a", "b"),
        pictures: Sequence[Image.Image] | None = None,
    ) -> tuple[Tensor, Read]:
        """Logits and all readouts of the pictures under faults; swaps strike every picture."""
        session = self.session
        shown = list(pictures or self.pictures)
        inputs = session.encode(shown)
        facts = session.facts(inputs)
        struck = [parse_fault(spec) for spec in faults]
        taken = DonorBatch(range(len(shown)), session.encode(donors)) if donors else None
        batch = StruckBatch(
            facts,
            names[: len(shown)],
            {str(f): taken for f in struck if isinstance(f.kind, DonorFault) and taken is not None},
        )
        wanted = [(locus, session.readouts[locus.name]) for locus in session.anatomy.loci]
        reader = Reader(session.model, session.anatomy, wanted)
        injector = Injector(session, struck, self.phrases)
        with injector.attached(), reader.attached(), injector.striking(batch):
            with reader.recording(facts, session.loaded.device):
                output = session.forward(session.on_device(inputs))
            return session.last_logits(output), named(reader.collect())


def named(vectors: Mapping[Cell, np.ndarray[Any, Any]]) -> Read:
    return {(f"{module}.{layer}", name): v for (module, layer, name), v in vectors.items()}


def opened(folder: Path, stages: Sequence[str] = ("vision", "connector", "llm")) -> Opened:
    loaded = load(str(folder))
    question = build_prompt(PHRASES)
    phrases = phrase_tokens(loaded.processor, Wording(question), PHRASES)
    pictures = [picture(100, 80, seed=1), picture(64, 90, seed=2)]
    checked = check(open_session(loaded, Wording(question)), pictures, phrases)
    if not checked.batching:
        pictures = pictures[:1]
    session = complete_exits(checked.session, pictures[0], stages)
    return Opened(Checked(session, checked.batching, checked.lines), phrases, pictures)


def slow_scores(session: Session, image: Image.Image, phrases: Sequence[Sequence[int]]) -> Any:
    """Log-likelihood of every phrase after one image: one full forward pass per phrase."""
    inputs = session.on_device(session.encode([image]))
    scores = []
    for phrase in phrases:
        tokens = torch.tensor([phrase])
        whole = dict(inputs)
        whole["input_ids"] = torch.cat([inputs["input_ids"], tokens], dim=1)
        whole["attention_mask"] = torch.cat(
            [inputs["attention_mask"], torch.ones_like(tokens)], dim=1
        )
        for name in ("token_type_ids", "mm_token_type_ids"):
            if name in inputs:
                fill = 0 if inputs[name].any() else 1
                more = torch.full_like(tokens, fill)
                whole[name] = torch.cat([inputs[name], more], dim=1)
        if "cross_attention_mask" in inputs:
            mask = inputs["cross_attention_mask"]
            more = mask[:, -1:].expand(-1, len(phrase), -1, -1)
            whole["cross_attention_mask"] = torch.cat([mask, more], dim=1)
        with torch.inference_mode():
            logits = session.model(**whole).logits[0, -len(phrase) - 1 : -1]
        logprobs = torch.log_softmax(logits.float(), dim=-1)
        scores.append(float(sum(logprobs[i, token] for i, token in enumerate(phrase))))
    return np.array(scores)


__all__ = ["PHRASES", "Fault", "Opened", "Read", "named", "opened", "slow_scores"]
