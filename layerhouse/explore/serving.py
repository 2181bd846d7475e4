"""The server: pages of one source, for browsers of this machine alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb

from layerhouse.explore.sources import Explored, ExploredFile, ExploredLake
from layerhouse.explore.visit import Visit
from warehouse.catalogue import forget_damaged
from warehouse.errors import LayerhouseError, UsageError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from layerhouse.explore.filling import Filler

HOST = "127.0.0.1"
HOSTS = [HOST, "localhost"]
"""Names that a browser may call us by: another one is somebody's page that points its own name
here."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; script-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer: nothing is fetched from elsewhere or shown within another page."""

UNKNOWN_NAMES = (duckdb.BinderException, duckdb.CatalogException)

Fill = Callable[[Visit], Mapping[str, Any]]


def serve(source: Explored, port: int, announce: Callable[[str], None]) -> None:
    """Serve until the keyboard or a signal ends it; port 0 takes a free one.

    `announce` is told the address once it can be opened. Raises LayerhouseError for a port that is
    taken, and where what this needs is not installed.
    """
    app = make_app(source)
    import uvicorn

    with closing(_listening(port)) as listener:
        announce(f"http://{HOST}:{listener.getsockname()[1]}/")
        config = uvicorn.Config(
            app,
            log_level="error",
            lifespan="off",
            ws="none",
            http="h11",
            server_header=False,
            timeout_graceful_shutdown=1,  # a browser holds its connection open
        )
        uvicorn.Server(config).run([listener])


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise LayerhouseError(
            f"port {port} cannot be used ({error.strerror}); --port 0 takes a free one"
        ) from error
    return listener


def make_app(source: Explored) -> Starlette:
    """The pages of a source, as an ASGI application."""
    try:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.routing import Route

        __import__("uvicorn")
    except ModuleNotFoundError as error:
        if (missing := (error.name or "").partition(".")[0]) not in ("starlette", "uvicorn"):
            raise
        raise LayerhouseError(
            f"this needs {missing}, which is not installed; install it with: "
            "pip install 'layerhouse[explore]'"
        ) from error
    from layerhouse.explore import pages
    from layerhouse.explore.filling import Filler
    from layerhouse.explore.pictures import picture

    filled = Filler(source)

    def page(name: str) -> Callable[[Request], Response]:
        def tell(visit: Visit) -> Response:
            # Imported when it is asked for: the first page draws nothing.
            fill: Fill = getattr(pages, f"{name}_page")
            return filled.page(name, fill, visit)

        return partial(_answer, filled, tell)

    routes = [
        Route("/", page("grid")),
        Route("/model", page("model")),
        Route("/samples", page("samples")),
        Route("/sample", page("sample")),
        Route("/projection", page("projection")),
        Route("/picture", partial(_answer, filled, picture)),
        Route("/style.css", lambda _: filled.style),
        Route("/script.js", lambda _: filled.script),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)],
        exception_handlers={404: lambda *_: filled.error("there is no such page", 404)},
    )
    app.add_middleware(_Headers)
    return app


class _Headers:
    """Adds HEADERS to every answer, refusals too."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), text.encode()) for name, text in HEADERS.items()]
                message["headers"] = [*message["headers"], *own]
            await send(message)

        await self.app(scope, receive, sent)


def _answer(filled: Filler, tell: Callable[[Visit], Response], request: Request) -> Response:
    """What `tell` makes of a visit, or the sentence of what went wrong."""
    source = filled.source
    try:
        with source.opened() as wh:
            return tell(Visit(source, wh, request.query_params))
    except Exception as fault:
        if os.environ.get("LAYERHOUSE_DEBUG"):
            raise
        said = _said(source, fault)
        return filled.error(str(said), 404 if isinstance(said, UsageError) else 500)


def _said(source: Explored, fault: Exception) -> LayerhouseError:
    if isinstance(fault.__cause__ or fault, UNKNOWN_NAMES) and isinstance(source, ExploredFile):
        lacking = str(fault).strip().splitlines()[0]
        return LayerhouseError(
            f"{source.name} lacks what this page shows ({lacking}); where an older Layerhouse "
            "wrote it, publish it again"
        )
    if isinstance(fault, LayerhouseError):
        return fault
    if isinstance(source, ExploredLake) and (damaged := forget_damaged(source.lake, fault)):
        return damaged
    if isinstance(fault, duckdb.Error):
        return LayerhouseError(str(fault).strip())
    kind = type(fault).__name__
    return LayerhouseError(
        f"unexpected failure, {kind}: {fault} (LAYERHOUSE_DEBUG=1 prints the traceback)"
    )
