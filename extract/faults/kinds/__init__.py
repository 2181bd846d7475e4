"""The kinds of faults that Layerhouse brings, one to a file: a new one is a file and its line here.

Their order is that of the self-test's trials.
"""

from extract.faults.fault import FaultKind
from extract.faults.kinds.block import Block
from extract.faults.kinds.damage import Damage
from extract.faults.kinds.drop import Drop
from extract.faults.kinds.erase import Erase
from extract.faults.kinds.head import Head
from extract.faults.kinds.lowrank import LowRank
from extract.faults.kinds.lowres import Lowres
from extract.faults.kinds.noise import Noise
from extract.faults.kinds.quantise import Quantise
from extract.faults.kinds.rank import Rank
from extract.faults.kinds.swap import Swap

OWN_KINDS: tuple[FaultKind, ...] = (
    Swap(),
    Head(),
    Erase(),
    Noise(),
    Drop(),
    Rank(),
    Quantise(),
    Lowres(),
    Block(),
    Damage(),
    LowRank(),
)
