from .comparing import (
    Comparison as Comparison,
    LeftOut as LeftOut,
    compare as compare,
    compare_all as compare_all,
)
