from .exporting import export_answers as export_answers
from .importing import (
    ImportOptions as ImportOptions,
    ImportSummary as ImportSummary,
    import_answers as import_answers,
)
from .reparsing import Reparsed as Reparsed, reparse as reparse
