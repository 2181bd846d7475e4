from .costing import Cost as Cost, costs as costs
from .journal import Journal as Journal
from .planning import (
    StudyCell as StudyCell,
    StudyStep as StudyStep,
    cells_of as cells_of,
    named_of as named_of,
    plan as plan,
)
from .reading import COMMANDS as COMMANDS, Study as Study, read_study as read_study
from .running import Came as Came, Share as Share, StepOutcome as StepOutcome, run as run
from .standing import Ground as Ground, StudyStanding as StudyStanding
