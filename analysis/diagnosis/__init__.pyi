from .choosing import Choice as Choice, refuse_unheld as refuse_unheld
from .claiming import (
    PLACES as PLACES,
    advice as advice,
    advised_in as advised_in,
    claimed as claimed,
    cure_of as cure_of,
    of_two_methods as of_two_methods,
    unmeasured as unmeasured,
    use_of as use_of,
)
from .diagnosing import (
    Diagnosis as Diagnosis,
    diagnose as diagnose,
    read_answer as read_answer,
    read_finding as read_finding,
)
from .evidence import (
    Evidence as Evidence,
    Predictor as Predictor,
    read_evidence as read_evidence,
)
from .family import FamilyLoss as FamilyLoss, family_losses as family_losses
from .findings import (
    DiagnosedAnswer as DiagnosedAnswer,
    Finding as Finding,
    ModeLoss as ModeLoss,
    ReadAt as ReadAt,
)
from .intervals import (
    LEVELS as LEVELS,
    Resampling as Resampling,
    bounds as bounds,
    interval_rows as interval_rows,
    resampled as resampled,
)
from .losses import available_accuracies as available_accuracies
from .marks import Mark as Mark, Marks as Marks, read_marks as read_marks
from .power import Power as Power, read_power as read_power
from .repairs import Recovery as Recovery, read_recoveries as read_recoveries
from .staleness import (
    inputs_fingerprint as inputs_fingerprint,
    renewed as renewed,
    store_intervals as store_intervals,
)
from .telling import Chapter as Chapter, story as story
from .wording import sentence as sentence
