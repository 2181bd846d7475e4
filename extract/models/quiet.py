"""Quiet: what libraries print while they read a model's files, held back.

What of it matters is checked here and told in words of our own; the rest is for their developers,
in pages of it.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

TALKATIVE = ("accelerate", "bitsandbytes", "compressed_tensors", "optimum", "peft", "torchao")


@contextmanager
def quiet() -> Iterator[None]:
    """Within the block transformers and its companions print errors only, and no progress."""
    from transformers.utils import logging as told

    loggers = [logging.getLogger(name) for name in TALKATIVE]
    before = [(logger, logger.level) for logger in loggers]
    verbosity, bars = told.get_verbosity(), told.is_progress_bar_enabled()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    told.set_verbosity_error()
    told.disable_progress_bar()
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in before:
            logger.setLevel(level)
        told.set_verbosity(verbosity)
        if bars:
            told.enable_progress_bar()
