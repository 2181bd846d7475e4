"""Models by name, and the folder of the one that is shipped."""

from extract.loading import LoadedModel, load
from extract.registry import RegistryEntry, list_models, registry, show

__all__ = ["LoadedModel", "RegistryEntry", "list_models", "load", "registry", "show"]
