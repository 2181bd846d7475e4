from .exporting import export_answers as export_answers
from .importing import (
    ImportOptions as ImportOptions,
    ImportSummary as ImportSummary,
    import_answers as import_answers,
)
from .judging import Judged as Judged, judge_replies as judge_replies
from .matching import SampleNames as SampleNames
from .models import model_row as model_row
from .reparsing import Reparsed as Reparsed, reparse as reparse
