from .serving import make_app as make_app, serve as serve
from .sources import (
    Explored as Explored,
    ExploredFile as ExploredFile,
    ExploredLake as ExploredLake,
)
