"""What other packages build on to bring their own; `docs/extending.md` shows how."""

from extract.datasets.sources.base import Contents, DatasetSource, Item
from extract.models.plugins import ModelPlugin, register

__all__ = ["Contents", "DatasetSource", "Item", "ModelPlugin", "register"]
