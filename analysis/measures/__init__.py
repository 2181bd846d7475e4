"""Measures of a locus beyond its probe's accuracy, each stored once and on request."""

from analysis.measures.code_length import add_code_lengths
from analysis.measures.coefficients import add_coefficients
from analysis.measures.folds import add_folds
from analysis.measures.geometry import add_geometry

__all__ = ["add_code_lengths", "add_coefficients", "add_folds", "add_geometry"]
