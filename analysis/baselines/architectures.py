"""The traditional classifiers that `layerhouse baseline` knows."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from analysis.baselines.examples import Examples, Trained


@dataclass(frozen=True)
class Architecture:
    """One classifier: its group (cnn, mlp, vit, hybrid, classical) and where its training lies."""

    name: str
    kind: str
    title: str
    home: str
    function: str

    def load(self) -> tuple[Callable[[Examples, int], Trained], dict[str, Any]]:
        """Its training function, and the settings that decide its numbers, as JSON values."""
        module = import_module(self.home)
        return getattr(module, self.function), module.SETTINGS


ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            "pixels-logistic",
            "classical",
            "logistic regression on the pixels at 32×32",
            "analysis.baselines.pixels",
            "train_pixels",
        ),
        Architecture(
            "texture-svm",
            "classical",
            "HOG and local binary patterns with a support vector machine",
            "analysis.baselines.texture",
            "train_texture",
        ),
    )
}
