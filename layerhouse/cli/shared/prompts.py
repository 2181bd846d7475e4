"""A prompt as commands show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extract.models import Prompt


def shown_prompt(prompt: Prompt) -> str:
    """Where its template is from, its text line by line, and its token ids."""
    lines = [f"Prompt (template: {prompt.template.place}):"]
    lines += [f"  | {line}" for line in prompt.text.split("\n")]
    lines.append(f"Token ids ({len(prompt.token_ids)}): {' '.join(map(str, prompt.token_ids))}")
    return "\n".join(lines)
