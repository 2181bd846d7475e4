from .checking import AddOptions as AddOptions
from .contact_sheet import preview as preview
from .folding import Folded as Folded, check_folds as check_folds, fold as fold
from .naming import refuse_unknown_dataset as refuse_unknown_dataset
from .pixels import PixelOptions as PixelOptions, pixel_options as pixel_options
from .reading import default_name as default_name, offered as offered
from .registration import (
    AddResult as AddResult,
    add as add,
    add_per_label as add_per_label,
    fingerprints_of as fingerprints_of,
    registered as registered,
)
from .rescoring import set_score as set_score
from .resolving import resolve as resolve
from .source import (
    Contents as Contents,
    DatasetSource as DatasetSource,
    Item as Item,
    ReadOptions as ReadOptions,
)
from .summary import Summary as Summary
from .tables import LabelTable as LabelTable, read_table as read_table, text as text
from .uniting import unite as unite
