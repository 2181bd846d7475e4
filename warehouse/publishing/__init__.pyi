from .opening import open_published as open_published
from .publishing import publish as publish
