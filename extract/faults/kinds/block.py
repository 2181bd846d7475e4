"""block: the reply cannot look at a share of the image tokens."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from extract.anatomy import Locus, hidden
from extract.faults.edit_hooks import full_mask
from extract.faults.effects import Injection, SiteFault, StruckBatch, seeded
from extract.faults.fault import Fault, Severity
from warehouse.vocabulary import LLM


class Block(SiteFault):
    """From the site's block on, attention hides image tokens from the last prompt token and the
    reply.
    """

    name = "block"
    severity = Severity("share of image tokens the reply cannot look at", default=1)
    stages = (LLM,)
    from_start = True
    only_image_tokens = True
    trial_severities = (0.5, 0.9, 1.0)

    @contextmanager
    def attached(self, fault: Fault, site: Locus, injection: Injection) -> Iterator[None]:
        session = injection.session
        blocks = [b for b in session.anatomy.of(LLM) if b.is_block]
        with ExitStack() as hooks:
            for block in blocks[site.layer :]:
                before = _hiding(fault, block, injection)
                module = session.model.get_submodule(block.path)
                hook = module.register_forward_pre_hook(before, prepend=True, with_kwargs=True)
                hooks.enter_context(hook)
            yield


def _hiding(fault: Fault, block: Locus, injection: Injection) -> Any:
    def before(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        if injection.batch is None:
            return None
        states = hidden(args[0]) if args else kwargs["hidden_states"]
        mask = full_mask(injection.session, block, states, kwargs)
        hide = _hidden_tokens(fault, injection.batch)
        first = hide.shape[1] - 1 - (mask.shape[-1] - mask.shape[-2])
        rows = injection.batch.facts.rows
        where = torch.from_numpy(hide if rows is None else hide[rows]).to(mask.device)
        closed = False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min
        late = mask[:, :, max(first, 0) :, : hide.shape[1]]
        late.masked_fill_(where[:, None, None, :], closed)
        return args, {**kwargs, "attention_mask": mask}

    return before


def _hidden_tokens(fault: Fault, batch: StruckBatch) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which tokens of every sample are hidden: bool (samples, prompt tokens)."""
    image_mask = batch.facts.image_mask
    hide = np.zeros_like(image_mask)
    for index, sample_id in enumerate(batch.sample_ids):
        places = np.flatnonzero(image_mask[index])
        order = torch.randperm(len(places), generator=seeded(fault, sample_id, 0)).numpy()
        hide[index, places[order[: round(fault.severity * len(places))]]] = True
    return hide
