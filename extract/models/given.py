"""A model that a person holds in memory, in the place of one that is found by its name.

It is run as it is and where it is. Nothing tells where it came from, so the person names it; what
decides its numbers is fingerprinted as it lies in memory.
"""

import copy
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.models.fingerprints import fingerprint_processor, fingerprint_state
from extract.models.plugins import plugin_for
from extract.models.published import find_published
from extract.models.quantized import quantization_of
from extract.models.registry import RegistryEntry
from extract.models.sources import beside_files
from extract.models.templates import carried_template
from warehouse.errors import UsageError
from warehouse.variants import BASE, JOINT

if TYPE_CHECKING:
    from extract.models.processors import ReadyProcessor


@dataclass(frozen=True)
class GivenModel:
    """A model of transformers with its processor, under a name of the person's choice.

    Raises UsageError for what is no such model, a name that cannot stand in a lake, and weights
    that are nowhere.
    """

    name: str
    model: Any
    processor: Any
    revision = None

    def __post_init__(self) -> None:
        from transformers import PreTrainedModel

        kind = type(self.model).__name__
        if not isinstance(self.model, PreTrainedModel):
            raise UsageError(
                f"a {kind} is no model of transformers (PreTrainedModel); of one that is wrapped "
                "give the model inside, with an adapter merged (merge_and_unload)"
            )
        if not hasattr(self.processor, "tokenizer") or not callable(self.processor):
            raise UsageError(
                f"a {type(self.processor).__name__} is no processor; give what "
                "AutoProcessor.from_pretrained returns for this model"
            )
        if not self.name or JOINT in self.name:
            raise UsageError(f"a model's name is at least one character and no +: {self.name!r}")
        if self.device == "meta":
            raise UsageError(f"the weights of {self.name} are on the meta device, that is nowhere")

    @property
    def config(self) -> dict[str, Any]:
        return dict(self.model.config.to_dict())

    @property
    def device(self) -> str:
        """Where inputs go: where the model's embeddings are."""
        return str(self.model.get_input_embeddings().weight.device)

    @property
    def dtype(self) -> str:
        return str(self.model.dtype).removeprefix("torch.")

    @cached_property
    def entry(self) -> RegistryEntry | None:
        """What is known of a model of this configuration; where it comes from is not."""
        alike = find_published(self.config)
        return None if alike is None else replace(alike, hub=None, licence="unknown")

    @property
    def variant(self) -> str:
        method = quantization_of(self.config)
        return BASE if method is None else f"quantization:{method}"

    @cached_property
    def ready(self) -> "ReadyProcessor":
        """The processor as it is run: left-padded, its template of one day."""
        from extract.models.processors import ReadyProcessor
        from extract.models.settling import settle

        processor = copy.deepcopy(self.left_padded)
        carried = carried_template(processor, "the processor in memory")
        if plugin_for(self.config) is not None:
            return ReadyProcessor(processor, carried)
        family = str(self.config.get("model_type"))
        template = settle(processor, carried, self.entry, family)
        return ReadyProcessor(processor, template, template.notes)

    @cached_property
    def left_padded(self) -> Any:
        """A processor like the one given whose tokenizer pads on the left."""
        processor = copy.deepcopy(self.processor)
        processor.tokenizer.padding_side = "left"
        return processor

    def identity(self) -> dict[str, Any]:
        """What decides the model's numbers, as hashes; of the processor, the files it saves."""
        with tempfile.TemporaryDirectory() as folder:
            self.left_padded.save_pretrained(folder)
            processor = fingerprint_processor(Path(folder))
        return {
            "weights": fingerprint_state(self.model.state_dict(), self.config),
            "processor": processor,
            "adapter": None,
            **beside_files(self.config, self.entry),
        }
