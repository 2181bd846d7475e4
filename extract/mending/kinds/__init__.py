"""The repairs that Layerhouse brings, one to a file: a new one is a file and its line here.

In the order in which they are tried: of stages from the answer back, of each the smaller first.
Those that score classes and change no weights are the parts of `extract.answering`.
"""

from extract.answering import PARTS
from extract.mending.kinds.finetune import ConnectorFinetune
from extract.mending.kinds.label_rows import LabelRows
from extract.mending.kinds.lora import DecoderLora, TowerLora
from extract.mending.parts import PartRepair
from extract.mending.repair import Repair
from warehouse.errors import UsageError, nearest
from warehouse.vocabulary import ANSWER

OF_PARTS = [PartRepair(part) for part in PARTS]
REPAIRS: tuple[Repair, ...] = (
    *(repair for repair in OF_PARTS if repair.stage == ANSWER),
    LabelRows(),
    ConnectorFinetune(),
    *(repair for repair in OF_PARTS if repair.stage != ANSWER),
    DecoderLora(),
    TowerLora(),
)


def repairs_of(stages: tuple[str, ...], only: tuple[str, ...] = ()) -> list[Repair]:
    """The repairs of these stages, or those of them that are named.

    Raises UsageError for a name that is none.
    """
    titles = [repair.title for repair in REPAIRS]
    for title in only:
        if title not in titles:
            raise UsageError(f"unknown repair {title!r}{nearest(title, titles)}")
    return [x for x in REPAIRS if x.stage in stages and (not only or x.title in only)]
