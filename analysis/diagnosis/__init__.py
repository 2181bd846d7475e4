"""Where the class signal gets lost, and how sure that is."""

from analysis.diagnosis.diagnosing import Diagnosis, ModeLoss, diagnose

__all__ = ["Diagnosis", "ModeLoss", "diagnose"]
