"""finetune: all weights of the connector, and nothing else."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from extract.anatomy import stage_weights
from extract.mending.repair import GradientRepair
from extract.mending.school import School
from extract.models import load_peft
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import CONNECTOR

NO_TUNER = "dummy-target-modules"
"""What peft takes for an adapter that trains whole modules and adds nothing."""


class ConnectorFinetune(GradientRepair):
    """Weights that lie in no module of their own (a row that ends each line of an image) stay."""

    name = "finetune"
    stage = CONNECTOR

    def adapter(self, school: School) -> Any:
        session = school.session
        weights = set(stage_weights(session.model, session.anatomy, CONNECTOR))
        modules = list(_covering(session.model, "", weights))
        if not modules:
            raise LayerhouseError(
                f"the connector of {session.anatomy.model_type} has no module of its own that "
                "could be trained whole"
            )
        return load_peft().LoraConfig(
            target_modules=NO_TUNER,
            modules_to_save=modules,
            base_model_name_or_path=school.job.source.name,
        )


def _covering(model: nn.Module, path: str, weights: set[str]) -> Iterator[str]:
    """The outermost modules all of whose parameters are among these; lists are none of them."""
    for name, child in model.named_children():
        inner = f"{path}.{name}" if path else name
        held = {f"{inner}.{weight}" for weight, _ in child.named_parameters()}
        is_list = isinstance(child, nn.ModuleList | nn.ModuleDict)
        if held and held <= weights and not is_list:
            yield inner
        elif held & weights:
            yield from _covering(child, inner, weights)
