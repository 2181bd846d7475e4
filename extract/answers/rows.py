"""Rows of the table `answer` that no run of ours made."""

from __future__ import annotations

from typing import Any

from extract.answers.reading import ReadRecord


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
