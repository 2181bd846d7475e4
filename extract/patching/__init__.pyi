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
    how_done as how_done,
    refuse_unmeant_by_any as refuse_unmeant_by_any,
    selection_of as selection_of,
)
from .opening import (
    deaf_behind as deaf_behind,
    showing as showing,
    side_of as side_of,
)
from .patching import (
    PatchOutlook as PatchOutlook,
    PatchSummary as PatchSummary,
    outlook as outlook,
    patch as patch,
)
from .request import (
    NO_IMAGE_TOKENS as NO_IMAGE_TOKENS,
    PatchRequest as PatchRequest,
    chosen_loci as chosen_loci,
    tokens_at as tokens_at,
)
from .sides import Side as Side, attached as attached
from .splicing import Along as Along, adding as adding
