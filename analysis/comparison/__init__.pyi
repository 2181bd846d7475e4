from .comparing import (
    Comparison as Comparison,
    LeftOut as LeftOut,
    compare as compare,
    compare_all as compare_all,
)
from .recovery import Recovery as Recovery, read_recoveries as read_recoveries
