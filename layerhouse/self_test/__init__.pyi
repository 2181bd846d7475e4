from .prescription import (
    Prescribed as Prescribed,
    PrescriptionGrid as PrescriptionGrid,
    prescribe as prescribe,
)
from .testing import SelfTest as SelfTest, self_test as self_test
from .trials import TrialGrid as TrialGrid, trials_of as trials_of
