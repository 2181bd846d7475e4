from .grid import grid_page as grid_page
from .model import model_page as model_page
from .projection import projection_page as projection_page
from .sample import sample_page as sample_page
from .samples import samples_page as samples_page
