"""What the extractions of a study would cost, each measured on one batch of its own model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass

from layerhouse.study.planning import StudyStep
from layerhouse.study.standing import Ground, StudyStanding
from warehouse.errors import LayerhouseError, UsageError


@dataclass(frozen=True)
class Cost:
    """What is left of an extraction: images, bytes and seconds; None where that is not known.

    `why` says what stands in the way of measuring it; `is_wrong` that it is how it is asked for.
    """

    step: StudyStep
    n_samples: int | None = None
    n_bytes: int | None = None
    seconds: float | None = None
    why: str = ""
    is_wrong: bool = False


def costs(ground: Ground, standing: StudyStanding, steps: list[StudyStep]) -> Iterator[Cost]:
    """The cost of every extraction, in order.

    A model is loaded to measure it. Of one whose weights are not here bytes follow from its layers
    and widths, as published, and time is not known. Nor is what probes and baselines take.
    """
    is_current = True
    for step in steps:
        if step.cell is None or step.kind != "extract":
            continue
        if standing.is_done(step):
            yield Cost(step, 0, 0, 0.0, "there already")
        elif ground.model_id(step.cell) is None:
            size = _by_sizes(step.cell.model.model)
            n = standing.n_samples(step.cell.dataset.dataset)
            if n is None and not is_current:
                standing, is_current = ground.refresh(), True
                n = standing.n_samples(step.cell.dataset.dataset)
            n_bytes = None if size is None or n is None else n * size
            error = ground.obstacle(step.cell)
            yield Cost(step, n, n_bytes, None, str(error), isinstance(error, UsageError))
        else:
            yield _measured(ground, step)
            is_current = False  # which may have registered its dataset


VALUE = 2
"""Bytes of a stored value of a model in 16 bits, compressed."""


def _by_sizes(model: str) -> int | None:
    """Bytes of an image's vectors: averaged tokens of every layer, in the decoder the last token's
    too, by the layers and widths that the registry knows; None of models that it does not know.
    """
    from extract.models import known_facts

    try:
        known = known_facts(model)
    except LayerhouseError:
        return None
    if not known.get("vision") or not known.get("llm"):
        return None
    (n_vision, tower), (n_llm, decoder) = known["vision"], known["llm"]
    return VALUE * int(n_vision * tower + decoder + 2 * n_llm * decoder)


def _measured(ground: Ground, step: StudyStep) -> Cost:
    from layerhouse.functions import extract

    try:
        with chdir(ground.study.folder):
            found = extract(**ground.extraction(step), dry_run=True)
    except LayerhouseError as error:
        return Cost(step, why=str(error), is_wrong=isinstance(error, UsageError))
    return Cost(step, found.n_samples, found.n_bytes, found.seconds)
