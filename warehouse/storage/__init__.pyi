from .location import (
    cache_folder as cache_folder,
    located as located,
    mirror_folder as mirror_folder,
    store_at as store_at,
)
from .store import (
    BUILDING as BUILDING,
    CATALOGUE as CATALOGUE,
    DELTA_LOG as DELTA_LOG,
    DELTA_ROWS as DELTA_ROWS,
    QUARANTINE as QUARANTINE,
    Draft as Draft,
    Shard as Shard,
    Store as Store,
    Turn as Turn,
    is_passing as is_passing,
)
