from .claims import Claims as Claims
from .coverage import (
    MOST_SAMPLES as MOST_SAMPLES,
    Range as Range,
    cells_of as cells_of,
    sample_order as sample_order,
)
from .job import (
    COMMAND as COMMAND,
    ExtractRequest as ExtractRequest,
    Job as Job,
    fixed_batch_size as fixed_batch_size,
    is_other_identity as is_other_identity,
    job_is_done as job_is_done,
    known_structure as known_structure,
    look_up as look_up,
    prompt_for as prompt_for,
    refuse_other_identity as refuse_other_identity,
    structure_of as structure_of,
    wanted_by as wanted_by,
)
from .ledger import ExtractSummary as ExtractSummary, Ledger as Ledger
