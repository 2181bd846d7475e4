"""Baselines: traditional image classifiers trained on the same split; what the task allows."""

from analysis.baselines.architectures import ARCHITECTURES
from analysis.baselines.training import BaselineSummary, baseline

__all__ = ["ARCHITECTURES", "BaselineSummary", "baseline"]
