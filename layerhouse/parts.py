"""The parts that are installed by choice, `pip install 'layerhouse[extract]'` and so on.

The bare installation reads lakes; running models, analysing and validating need more. What is
missing is said in one sentence, here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from warehouse.errors import LayerhouseError

BROUGHT = frozenset(
    {
        "PIL",
        "duckdb_engine",
        "great_expectations",
        "huggingface_hub",
        "jinja2",
        "matplotlib",
        "safetensors",
        "skimage",
        "sklearn",
        "sqlalchemy",
        "tokenizers",
        "torch",
        "transformers",
    }
)
"""What the extras `extract`, `analysis` and `validate` bring, by the names of their modules."""


@contextmanager
def part(extra: str) -> Iterator[None]:
    """A block, or as a decorator a function, that needs what `layerhouse[extra]` installs.

    A module that is missing in it becomes a LayerhouseError with the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in BROUGHT:
            raise
        raise LayerhouseError(
            f"this needs {missing}, which is not installed; install it with: "
            f"pip install 'layerhouse[{extra}]'"
        ) from error
