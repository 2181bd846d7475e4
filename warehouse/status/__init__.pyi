from .commands import again as again
from .reporting import PairStatus as PairStatus, StatusReport as StatusReport, status as status
