"""Plug-ins: models whose class transformers does not have, brought in by an installed package.

No code of a model's repository is run. Whoever trusts such code writes it into a package of their
own, as one small class, installs that package, and so says so once and for all. A package names its
class as an entry point of the group `layerhouse.models`; Python code may call `register` instead.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse.extensions import installed

if TYPE_CHECKING:
    import torch

    from extract.anatomy import Anatomy

GROUP = "layerhouse.models"


class ModelPlugin(ABC):
    """How to load one kind of model, and where to look in it.

    `model_type` is what the model folder's config.json says; `registry_names` are entries of the
    registry (`load = "plug-in"`) that this class makes runnable.
    """

    model_type: str
    registry_names: tuple[str, ...] = ()

    @abstractmethod
    def load(self, folder: Path, dtype: "torch.dtype") -> Any:
        """The model in `folder` on the CPU, every weight from its files.

        A `PreTrainedModel` whose `forward` takes what the processor returns as keywords, with
        `use_cache` beside them, and returns `logits` (n, positions, vocabulary); `past_key_values`
        too, where replies may be scored on the prompt's cache.
        """

    @abstractmethod
    def processor(self, folder: Path) -> Any:
        """A callable with a `tokenizer` that turns `images=` (a list per prompt) and `text=` into
        the model's inputs, padded on the left: at least `input_ids` and `attention_mask`.
        """

    def discover(self, model: Any) -> "Anatomy":
        """The model's loci; by default from its structure, which needs `get_decoder`,
        `get_encoder(modality="image")` and `get_output_embeddings` to say what is what.
        """
        from extract.anatomy import discover

        return discover(model)

    @property
    def identity(self) -> str:
        """What of the plug-in decides the model's numbers, for the run's configuration."""
        return f"{type(self).__module__}.{type(self).__qualname__}"


_registered: dict[str, ModelPlugin] = {}


def register(plugin: ModelPlugin) -> ModelPlugin:
    """Make a plug-in known to this process; another one for the same `model_type` is replaced."""
    _registered[plugin.model_type] = plugin
    return plugin


def plugin_for(config: Mapping[str, Any]) -> ModelPlugin | None:
    """The plug-in for a model of this config.json, or None."""
    return _known().get(str(config.get("model_type")))


def runs_by_plugin(name: str) -> bool:
    """Whether a plug-in makes this registry entry runnable."""
    return any(name in plugin.registry_names for plugin in _known().values())


def _known() -> dict[str, ModelPlugin]:
    brought = {plugin.model_type: plugin for plugin in installed(GROUP, ModelPlugin).values()}
    return brought | _registered
