from .definitions import Definitions as Definitions, references as references
from .folds import (
    Places as Places,
    Rotation as Rotation,
    make_folds as make_folds,
    rotate as rotate,
)
from .in_memory import Scratch as Scratch
from .known import (
    require_attribute as require_attribute,
    require_known as require_known,
)
from .reading import (
    Catalogue as Catalogue,
    Tables as Tables,
    Warehouse as Warehouse,
    lock_down as lock_down,
    open_blank as open_blank,
    open_catalogue as open_catalogue,
    unbuilt_said as unbuilt_said,
)
from .readouts import package_readouts as package_readouts
from .recording import Recording as Recording
from .refreshing import (
    connect as connect,
    current as current,
    open_tables as open_tables,
    refresh as refresh,
    write_delta as write_delta,
)
from .rows import Rows as Rows, still_working as still_working
from .samples import (
    ClassRow as ClassRow,
    DatasetInfo as DatasetInfo,
    changed_samples as changed_samples,
    dataset as dataset,
    labelled as labelled,
    left_out_samples as left_out_samples,
    refuse_changed as refuse_changed,
)
from .soundness import forget_damaged as forget_damaged
from .weights import fitting_weights as fitting_weights
