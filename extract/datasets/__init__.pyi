from .checking import AddOptions as AddOptions
from .reading import default_name as default_name, offered as offered
from .registration import (
    AddResult as AddResult,
    add as add,
    registered as registered,
    resolve as resolve,
)
from .source import Contents as Contents, DatasetSource as DatasetSource, Item as Item
from .summary import ClassLine as ClassLine, Summary as Summary
