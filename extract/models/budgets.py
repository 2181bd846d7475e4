"""Budgets: how many new tokens a reply may have.

A generous number costs nothing where the model stops by itself, so the default is what the model's
authors give it. An untrained model never stops, and its reply says nothing.
"""

from extract.models.given import GivenModel
from extract.models.sources import ModelSource
from extract.models.templates import Template
from warehouse.vocabulary import DIRECT_TOKENS, REASONING_TOKENS

REASONING = "<think>"


def default_budget(source: ModelSource | GivenModel, template: Template) -> int:
    """The registry's number; of a model that it has none for, by whether the chat template that it
    is asked with speaks of reasoning.
    """
    if isinstance(source, ModelSource) and source.random_seed is not None:
        return DIRECT_TOKENS
    if source.entry is not None and source.entry.max_new_tokens is not None:
        return source.entry.max_new_tokens
    return REASONING_TOKENS if REASONING in (template.text or "") else DIRECT_TOKENS
