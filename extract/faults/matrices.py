"""Matrices: what faults of weights strike of a stage."""

from typing import Any

from torch import nn

from extract.anatomy import Anatomy, stage_weights
from extract.faults.fault import Fault
from extract.faults.sites import named_locus
from warehouse.errors import UsageError


def struck_matrices(fault: Fault, model: Any, anatomy: Anatomy) -> dict[str, nn.Parameter]:
    """The matrices of a fault's stage by name, or those of the block that it names.

    Raises UsageError where there are none, and for a layer that the stage does not have.
    """
    layer = None
    if fault.layer is not None:
        blocks = [x for x in anatomy.of(fault.stage) if x.on_path and x.is_block]
        layer = named_locus(fault, blocks).layer
    weights = stage_weights(model, anatomy, fault.stage, layer)
    matrices = {name: w for name, w in weights.items() if w.dim() >= 2 and w.numel() > 1}
    if not matrices:
        raise UsageError(
            f"{fault} changes nothing: that part of {anatomy.model_type} has no matrices"
        )
    return matrices
