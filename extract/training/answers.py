"""What a tiny model must say: the prompt with each class's answer, ready for a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from extract.models import Wording, phrase_tokens, render

IGNORED = -100  # torch's mark for a target that does not count


class Answers:
    """The prompt followed by each class's answer, as token ids ready for a batch.

    `ids` and `mask` are [classes, prompt + longest answer], padded on the right; `targets`
    [classes, longest answer] are what the model must say from the end of the prompt on.
    """

    def __init__(self, processor: Any, question: str, phrases: Sequence[str], image: Any) -> None:
        prompt, end = render(processor, question), processor.tokenizer.eos_token_id
        start = processor(images=[image], text=[prompt], return_tensors="pt")["input_ids"][0]
        spoken = [[*tokens, end] for tokens in phrase_tokens(processor, Wording(question), phrases)]
        longest = max(map(len, spoken))
        self.prompt_length = len(start)
        self.targets = torch.full((len(phrases), longest), IGNORED)
        for row, answer in zip(self.targets, spoken, strict=True):
            row[: len(answer)] = torch.tensor(answer)
        counted = self.targets != IGNORED
        filled = self.targets.where(counted, torch.tensor(processor.tokenizer.pad_token_id))
        prompts = start.expand(len(phrases), -1)
        self.ids = torch.cat([prompts, filled], dim=1)
        self.mask = torch.cat([torch.ones_like(prompts), counted.long()], dim=1)

    def logits(self, model: Any, pixels: Tensor, classes: Tensor) -> Tensor:
        """[batch, longest answer, vocabulary]: what `model` says while given the right answer."""
        hidden = model.model(
            input_ids=self.ids[classes], attention_mask=self.mask[classes], pixel_values=pixels
        ).last_hidden_state
        return model.lm_head(hidden[:, self.prompt_length - 1 : -1])
