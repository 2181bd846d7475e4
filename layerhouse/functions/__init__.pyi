from .analysing import (
    baseline as baseline,
    baselines as baselines,
    compare as compare,
    diagnose as diagnose,
    fit_probes as fit_probes,
    measures as measures,
    power as power,
    probe as probe,
    report as report,
)
from .arguments import (
    Place as Place,
    Several as Several,
    dataset_id as dataset_id,
    known_options as known_options,
    lake_at as lake_at,
    several as several,
)
from .drawing import figures as figures, project as project
from .extracting import (
    ENGINES as ENGINES,
    extract as extract,
    is_extracted as is_extracted,
    rejected as rejected,
)
from .lakes import (
    connect as connect,
    delta as delta,
    publish as publish,
    validate as validate,
)
from .mending import AUTO as AUTO, EVERY as EVERY, Mending as Mending, mend as mend
from .names import (
    refuse_unknown_here as refuse_unknown_here,
    refuse_unknown_to_run as refuse_unknown_to_run,
    refuse_unknown_words as refuse_unknown_words,
)
from .patching import patch as patch
from .states import export as export, import_ as import_
from .steering import steer as steer
