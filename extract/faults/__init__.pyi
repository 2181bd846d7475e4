from .damaging import change_weights as change_weights, strikes_weights as strikes_weights
from .donors import DonorBatch as DonorBatch
from .edit_hooks import Edit as Edit, editing as editing
from .effects import (
    ActivationFault as ActivationFault,
    DonorFault as DonorFault,
    ImageFault as ImageFault,
    LabelFault as LabelFault,
    Labelled as Labelled,
    LearningFault as LearningFault,
    SiteFault as SiteFault,
    Strike as Strike,
    StruckBatch as StruckBatch,
    WeightFault as WeightFault,
)
from .fault import Fault as Fault, FaultKind as FaultKind, Severity as Severity
from .injector import Injector as Injector
from .inputs import (
    ChangedImageError as ChangedImageError,
    FaultyInputs as FaultyInputs,
    faulty_images as faulty_images,
    faulty_inputs as faulty_inputs,
)
from .label_tokens import label_permutation as label_permutation
from .registry import (
    fault_kinds as fault_kinds,
    kind_named as kind_named,
    register_fault as register_fault,
)
from .sites import (
    complete_exits as complete_exits,
    end_of as end_of,
    site_of as site_of,
    stages_to_end as stages_to_end,
)
from .spec import parse_fault as parse_fault, variant_of as variant_of
from .words import read_words as read_words
