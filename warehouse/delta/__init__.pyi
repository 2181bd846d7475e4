from .folders import (
    logged as logged,
    refuse_place as refuse_place,
    remove as remove,
    unread_by_polars as unread_by_polars,
)
from .writing import (
    DeltaLog as DeltaLog,
    clear_old as clear_old,
    follow as follow,
    write as write,
)
