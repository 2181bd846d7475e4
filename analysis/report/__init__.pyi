from .page import report as report
from .paper.choices import (
    FIGURE_FORMS as FIGURE_FORMS,
    FIGURE_WIDTHS as FIGURE_WIDTHS,
    TABLE_MARKUPS as TABLE_MARKUPS,
)
from .paper.kinds import FIGURES as FIGURES
from .paper.writing import (
    Wish as Wish,
    WrittenFigures as WrittenFigures,
    write_figures as write_figures,
)
