from .account import (
    InterventionOutlook as InterventionOutlook,
    InterventionSummary as InterventionSummary,
    carried_out as carried_out,
    foreseen as foreseen,
)
from .intervention import (
    Intervention as Intervention,
    Wanted as Wanted,
    done_as as done_as,
    refuse_unmeant_by_any as refuse_unmeant_by_any,
    selection_of as selection_of,
)
from .opening import (
    deaf_behind as deaf_behind,
    preparer_of as preparer_of,
    side_of as side_of,
)
from .patching import (
    PatchOutlook as PatchOutlook,
    PatchSummary as PatchSummary,
    outlook as outlook,
    patch as patch,
)
from .request import PatchRequest as PatchRequest, tokens_at as tokens_at
from .sides import Side as Side, attached as attached
from .splicing import Along as Along, adding as adding
