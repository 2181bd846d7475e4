from .report import ValidationReport as ValidationReport
from .running import validate as validate
