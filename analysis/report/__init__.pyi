from .asking import (
    Parameter as Parameter,
    Row as Row,
    Table as Table,
    ask as ask,
    with_literals as with_literals,
)
from .environment import environment_for as environment_for, style_sheet as style_sheet
from .evidence import (
    EvidenceMap as EvidenceMap,
    EvidenceMaps as EvidenceMaps,
    evidence_maps as evidence_maps,
)
from .figures.projection import projection as projection
from .page import report as report
from .paper.choices import (
    FIGURE_FORMS as FIGURE_FORMS,
    FIGURE_WIDTHS as FIGURE_WIDTHS,
    FIGURES as FIGURES,
    TABLE_MARKUPS as TABLE_MARKUPS,
)
from .paper.kinds import MODEL_FIGURES as MODEL_FIGURES
from .paper.projecting import write_projection as write_projection
from .paper.wishing import Wish as Wish
from .paper.writing import WrittenFigures as WrittenFigures, write_figures as write_figures
from .reading import (
    ModelPage as ModelPage,
    Trials as Trials,
    image_tokens as image_tokens,
    read_pages as read_pages,
    read_table as read_table,
)
from .svg import Drawing as Drawing, pointed_out as pointed_out
