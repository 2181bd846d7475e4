from .hooks import (
    flatten as flatten,
    hidden as hidden,
    unflatten as unflatten,
    watching as watching,
    with_hidden as with_hidden,
)
from .kinds import FINAL_NORM as FINAL_NORM, LAYER_KINDS as LAYER_KINDS, POST_NORM as POST_NORM
from .loci import (
    CROSS_STATES as CROSS_STATES,
    OUTPUT as OUTPUT,
    Anatomy as Anatomy,
    Locus as Locus,
    discover as discover,
)
from .sample_rows import SampleRows as SampleRows, TokenMap as TokenMap
from .token_maps import BatchFacts as BatchFacts
from .weights import Weights as Weights, stage_weights as stage_weights
