from .colours import COLOURS as COLOURS, Values as Values, read_values as read_values
from .laying import MOST as MOST, Layout as Layout, lay_out as lay_out
from .methods import METHODS as METHODS
from .reading import (
    Projection as Projection,
    cell_named as cell_named,
    name_of as name_of,
    project as project,
)
