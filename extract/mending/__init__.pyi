from .costs import MendOutlook as MendOutlook, RepairOutlook as RepairOutlook, outlook as outlook
from .job import (
    Mended as Mended,
    MendRequest as MendRequest,
    look_up_mend as look_up_mend,
)
from .kinds import REPAIRS as REPAIRS, repairs_of as repairs_of
from .mending import mend as mend
from .recipe import MendEpoch as MendEpoch, MendRecipe as MendRecipe
from .repair import Repair as Repair
from .storing import note_useless as note_useless, store_mended as store_mended
from .titles import REPAIR_TITLES as REPAIR_TITLES
