from .patching import (
    PatchOutlook as PatchOutlook,
    PatchSummary as PatchSummary,
    outlook as outlook,
    patch as patch,
)
from .request import PatchRequest as PatchRequest
