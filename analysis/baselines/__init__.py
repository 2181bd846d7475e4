"""Baselines: traditional image classifiers trained on the same split; what the task allows."""

from analysis.baselines.architectures import Architecture, Options, known_architectures
from analysis.baselines.training import BaselineSummary, baseline

__all__ = ["Architecture", "BaselineSummary", "Options", "baseline", "known_architectures"]
