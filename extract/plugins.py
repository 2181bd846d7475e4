"""What other packages build on to bring their own; `docs/adding-a-model.md` shows how."""

from extract.models.plugins import ModelPlugin, register

__all__ = ["ModelPlugin", "register"]
