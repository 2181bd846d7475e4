from .publishing import publish as publish
