"""Is what the warehouse holds what it should hold? Great Expectations over the catalogue."""

from warehouse.validation.report import CheckResult, ValidationReport
from warehouse.validation.running import validate

__all__ = ["CheckResult", "ValidationReport", "validate"]
