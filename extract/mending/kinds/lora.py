"""lora: every matrix in the blocks of a stage gets a change of low rank (Hu et al. 2022)."""

from typing import Any

from torch import nn

from extract.mending.repair import GradientRepair
from extract.mending.school import School
from extract.models import load_peft
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import LLM, VISION


class _Lora(GradientRepair):
    """Scaled by twice the rank, without dropout."""

    name = "lora"

    def adapter(self, school: School) -> Any:
        session, recipe = school.session, school.recipe
        matrices = [
            f"{locus.path}.{name}"
            for locus in session.anatomy.of(self.stage)
            if locus.on_path and locus.is_block
            for name, part in session.model.get_submodule(locus.path).named_modules()
            if isinstance(part, nn.Linear)
        ]
        if not matrices:
            raise LayerhouseError(
                f"the blocks of {session.anatomy.model_type}'s {self.stage} have no plain matrices "
                "that a LoRA could be put on"
            )
        return load_peft().LoraConfig(
            r=recipe.rank,
            lora_alpha=2 * recipe.rank,
            target_modules=matrices,
            base_model_name_or_path=school.job.source.name,
        )


class DecoderLora(_Lora):
    stage = LLM


class TowerLora(_Lora):
    stage = VISION
