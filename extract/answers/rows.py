"""Rows of the table `answer` that no run of ours made."""

from __future__ import annotations

import re
from typing import Any

from extract.answers.reading import ReadRecord
from warehouse.errors import UsageError


def method_name(name: str) -> str:
    """A name as a method may have it, without the date that harnesses put into file names."""
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")
    if not plain:
        raise UsageError(f"no method can be called {name!r}; give a --name of letters and numbers")
    return plain


def imported_row(model_id: str, dataset_id: str, method: str, one: ReadRecord) -> dict[str, Any]:
    """An imported answer as the lake keeps it."""
    return {
        "model_id": model_id,
        "dataset_id": dataset_id,
        "sample_id": one.record.sample,
        "method": method,
        "predicted_class_index": one.predicted,
        "label_logprobs": None if one.scores is None else list(one.scores),
        "text": one.reply,
        "parsed": one.predicted is not None,
        "finish_reason": one.record.finish,
        "n_tokens": one.record.n_tokens,
        "raw_text": None,
        "label_logprobs_per_token": None,
        "label_pmi": None,
        "end_token": None,
        "options": None if one.options is None else list(one.options),
    }
