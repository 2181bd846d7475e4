from .logit_lens import Lens as Lens, lens_table as lens_table, open_lens as open_lens
from .reader import Reader as Reader
from .readouts import (
    AverageReadout as AverageReadout,
    RowReadout as RowReadout,
    brought_readouts as brought_readouts,
    is_per_token as is_per_token,
    known_readouts as known_readouts,
    readout_named as readout_named,
    readouts_at as readouts_at,
    register_readout as register_readout,
)
from .selection import (
    Layers as Layers,
    Wanted as Wanted,
    check_names as check_names,
    of_prompts as of_prompts,
    of_replies as of_replies,
    of_samples as of_samples,
    select as select,
)
from .to_host import Arrays as Arrays, Offload as Offload
from .vectors import (
    CellVectors as CellVectors,
    JoinedVectors as JoinedVectors,
    TokenLayout as TokenLayout,
    beside as beside,
)
