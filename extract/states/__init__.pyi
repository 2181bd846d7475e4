from .exporting import (
    Exported as Exported,
    Selected as Selected,
    export_states as export_states,
)
from .importing import (
    StateOptions as StateOptions,
    StateSummary as StateSummary,
    import_states as import_states,
)
