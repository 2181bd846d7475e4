"""Labelled images from any usual source, registered in the lake once and read from there.

`add` reads a source (folder of classes, manifest, MedMNIST archive, DICOM folder, Hugging Face
dataset, the built-in digits), checks it whole, and writes one committed run. `resolve` turns what a
person typed, a name or a path, into the id of a registered dataset.
"""

from extract.datasets.reading import BUILTIN, default_name
from extract.datasets.registration import AddResult, Registration, add, registered, resolve

__all__ = [
    "BUILTIN",
    "AddResult",
    "Registration",
    "add",
    "default_name",
    "registered",
    "resolve",
]
