from .architectures import (
    Options as Options,
    find as find,
    known_architectures as known_architectures,
)
from .training import BaselineSummary as BaselineSummary, baseline as baseline
