from .border import add_border as add_border
from .code_length import add_code_lengths as add_code_lengths
from .coefficients import add_coefficients as add_coefficients
from .folds import add_folds as add_folds
from .geometry import add_geometry as add_geometry
from .targets import add_attribute as add_attribute, add_control_task as add_control_task
