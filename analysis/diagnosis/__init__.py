"""Where the class signal gets lost, and how sure that is."""

from analysis.diagnosis.diagnose import Diagnosis, ModeLoss, diagnose

__all__ = ["Diagnosis", "ModeLoss", "diagnose"]
