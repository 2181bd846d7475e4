"""Budgets: how many new tokens a reply may have.

A generous number costs nothing where the model stops by itself, so the default is what the model's
authors give it. An untrained model never stops, and its reply says nothing.
"""

import json
from pathlib import Path
from typing import Any

from extract.models.given import GivenModel
from extract.models.sources import ModelSource
from warehouse.vocabulary import DIRECT_TOKENS, REASONING_TOKENS

REASONING = "<think>"


def default_budget(source: ModelSource | GivenModel) -> int:
    """The registry's number; of a model that it has none for, by whether its chat template speaks
    of reasoning.
    """
    if isinstance(source, ModelSource) and source.random_seed is not None:
        return DIRECT_TOKENS
    if source.entry is not None and source.entry.max_new_tokens is not None:
        return source.entry.max_new_tokens
    return REASONING_TOKENS if REASONING in _template(source) else DIRECT_TOKENS


def _template(source: ModelSource | GivenModel) -> str:
    """The chat templates of a model, as text."""
    if isinstance(source, GivenModel):
        holders = (source.processor, source.processor.tokenizer)
        return "".join(str(getattr(holder, "chat_template", "")) for holder in holders)
    folder = source.folder
    plain = folder / "chat_template.jinja"
    found = [plain.read_text(encoding="utf-8")] if plain.is_file() else []
    for name in ("chat_template.json", "processor_config.json", "tokenizer_config.json"):
        found.append(str(_settings(folder / name).get("chat_template", "")))
    return "".join(found)


def _settings(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
