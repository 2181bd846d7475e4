from .activations import Samples as Samples, read_cells as read_cells, read_vectors as read_vectors
from .chunks import parts as parts
from .evidence import AttentiveReader as AttentiveReader
from .fitting import fit_vectors as fit_vectors
from .kinds.linear import (
    LinearFits as LinearFits,
    LinearProbe as LinearProbe,
    fit_linear as fit_linear,
    path_logits as path_logits,
    penalty_grid as penalty_grid,
)
from .kinds.mlp import MlpProbe as MlpProbe
from .logistic.forms import form_of as form_of
from .logistic.solver import Stop as Stop, solve_path as solve_path
from .probe_kind import (
    Fits as Fits,
    FoldFit as FoldFit,
    LabelledVectors as LabelledVectors,
    ProbeData as ProbeData,
    ProbeKind as ProbeKind,
    seen_classes as seen_classes,
)
from .probing import ProbeSummary as ProbeSummary, probe as probe
from .registry import find_kind as find_kind
from .standardising import Moments as Moments, standardise as standardise
from .storage import (
    Fit as Fit,
    Subject as Subject,
    score_setting as score_setting,
    tables_of as tables_of,
)
from .targets import TRUE_LABELS as TRUE_LABELS
from .weights import weighed_mean as weighed_mean, weights_for as weights_for
