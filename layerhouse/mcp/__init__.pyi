from .desk import Limits as Limits
from .serving import make_server as make_server, serve as serve
