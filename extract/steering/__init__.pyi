from .request import SteerRequest as SteerRequest
from .steering import (
    SteerOutlook as SteerOutlook,
    SteerSummary as SteerSummary,
    outlook as outlook,
    steer as steer,
)
