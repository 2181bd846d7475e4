"""Weights: which parameters belong to which stage of a model, found as loci are, from structure."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from extract.anatomy.loci import Anatomy
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import ANSWER, CONNECTOR, LLM, VISION

Weights = dict[str, nn.Parameter]


def stage_weights(model: Any, anatomy: Anatomy, stage: str, layer: int | None = None) -> Weights:
    """A stage's parameters by name, or those of one of its blocks.

    `vision` and `llm` are the blocks and norms on the way to the answer, `answer` is the head;
    `connector` is what is defined behind the tower's last block and is neither decoder nor head:
    projectors, mergers, resamplers. What makes tokens of patches and words is of no stage. Parts
    that do not run (the image generator of a Janus) count with the connector; they get no gradient.
    Raises LayerhouseError where a stage has none.
    """
    if stage == ANSWER:
        return _below(model, [anatomy.head])
    if stage == CONNECTOR:
        return _of_connector(model, anatomy)
    loci = [locus for locus in anatomy.of(stage) if locus.on_path]
    if layer is not None:
        loci = [locus for locus in loci if locus.is_block and locus.layer == layer]
    return _below(model, [locus.path for locus in loci])


def _of_connector(model: Any, anatomy: Anatomy) -> Weights:
    loci = [*anatomy.of(VISION), *anatomy.of(LLM)]
    elsewhere = [*(locus.path for locus in loci), anatomy.decoder, anatomy.head]
    blocks = [locus.path for locus in anatomy.of(VISION) if locus.is_block]
    words = {id(weight) for weight in model.get_input_embeddings().parameters()}
    tower = [name for name, _ in model.named_parameters() if _is_below(name, [anatomy.tower])]
    last = max(place for place, name in enumerate(tower) if _is_below(name, blocks))
    found = {
        name: weight
        for name, weight in model.named_parameters()
        if not _is_below(name, elsewhere) and name not in tower[:last] and id(weight) not in words
    }
    if not found:
        raise LayerhouseError(
            f"{anatomy.model_type} has no weights between its vision tower and its decoder"
        )
    return found


def _below(model: Any, paths: Iterable[str]) -> Weights:
    return {
        name: weight
        for path in paths
        for name, weight in model.get_submodule(path).named_parameters(prefix=path)
    }


def _is_below(name: str, paths: Iterable[str]) -> bool:
    return any(name == path or name.startswith(f"{path}.") for path in paths)
