from .naming import refuse_unknown_direction as refuse_unknown_direction
from .request import SteerRequest as SteerRequest
from .steering import (
    SteerOutlook as SteerOutlook,
    SteerSummary as SteerSummary,
    outlook as outlook,
    steer as steer,
)
