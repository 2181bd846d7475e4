from .costs import MendOutlook as MendOutlook, RepairOutlook as RepairOutlook, outlook as outlook
from .job import Mended as Mended, MendRequest as MendRequest
from .kinds import REPAIRS as REPAIRS, repairs_of as repairs_of
from .mending import mend as mend
from .recipe import MendEpoch as MendEpoch, MendRecipe as MendRecipe
from .repair import Repair as Repair
from .titles import REPAIR_TITLES as REPAIR_TITLES
