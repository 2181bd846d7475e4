"""Repeating: the penalty that some models' authors put on tokens that come again.

As transformers defines it (`repetition_penalty`, after Keskar et al. 2019): the logit of a token
that stands in the prompt or the reply is divided by it where positive and multiplied by it where
negative. Padding is no part of a prompt, so that a reply does not depend on its batch.
"""

import torch
from torch import Tensor

from extract.answering.continuing import Prompted


def in_prompt(prompted: Prompted) -> Tensor:
    """Which tokens stand in each sample's prompt: bool (n, vocabulary)."""
    ids, mask = prompted.inputs["input_ids"], prompted.inputs["attention_mask"].bool()
    width = prompted.logits.shape[-1]
    # An image's token may have no logit: such are noted in one column more, and let go.
    noted = torch.where(mask, ids.clamp(max=width), width)
    said = torch.zeros(len(ids), width + 1, dtype=torch.bool, device=ids.device)
    return said.scatter_(1, noted, True)[:, :width].contiguous()


def penalised(logits: Tensor, said: Tensor, penalty: float) -> Tensor:
    """Logits (n, vocabulary) after the penalty on those that were `said` (bool, the same shape)."""
    lowered = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(said, lowered, logits)


def note(tokens: Tensor, said: Tensor) -> None:
    """Count a token of each row [n] among those that were said (bool (n, vocabulary))."""
    said[torch.arange(len(tokens), device=tokens.device), tokens] = True
