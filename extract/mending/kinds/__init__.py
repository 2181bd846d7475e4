"""The repairs that Layerhouse brings, one to a file: a new one is a file and its line here.

In the order in which they are tried: of stages from the answer back, of each the smaller first.
"""

from extract.mending.kinds.finetune import ConnectorFinetune
from extract.mending.kinds.label_rows import LabelRows
from extract.mending.kinds.lora import DecoderLora, TowerLora
from extract.mending.repair import Repair
from warehouse.errors import UsageError, nearest

REPAIRS: tuple[Repair, ...] = (LabelRows(), ConnectorFinetune(), DecoderLora(), TowerLora())


def repairs_of(stages: tuple[str, ...], only: tuple[str, ...] = ()) -> list[Repair]:
    """The repairs of these stages, or those of them that are named.

    Raises UsageError for a name that is none.
    """
    titles = [repair.title for repair in REPAIRS]
    for title in only:
        if title not in titles:
            raise UsageError(f"unknown repair {title!r}{nearest(title, titles)}")
    return [x for x in REPAIRS if x.stage in stages and (not only or x.title in only)]
