from .asking import (
    Asked as Asked,
    Listing as Listing,
    Way as Way,
    by_way as by_way,
    is_replied as is_replied,
    listing as listing,
    method_of as method_of,
    shown_in as shown_in,
    way_of as way_of,
)
from .batch_sizes import batch_size_of as batch_size_of
from .by_fold import refuse_seen_fold as refuse_seen_fold
from .claims import Claims as Claims, Lacking as Lacking
from .controls import choose_image_donors as choose_image_donors
from .coverage import (
    MOST_SAMPLES as MOST_SAMPLES,
    Range as Range,
    cells_of as cells_of,
    plan as plan,
    rejected_in as rejected_in,
)
from .identities import identity_in as identity_in, runs_of as runs_of
from .job import (
    COMMAND as COMMAND,
    Job as Job,
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
from .meant import meant_model_id as meant_model_id, weight_faults as weight_faults
from .parting import fold_parts as fold_parts
from .processes import (
    begun as begun,
    devices_of as devices_of,
    end_with_parent as end_with_parent,
)
from .request import ExtractRequest as ExtractRequest
from .seen import Seen as Seen, find_seen as find_seen, images_hash as images_hash
