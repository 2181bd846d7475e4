"""The server: tools as the protocol's, over standard input and output.

While it serves, standard output belongs to the protocol: the SDK turns what else is printed, by us
or by a library, to standard error.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import duckdb

from layerhouse.mcp.desk import Desk, Limits
from layerhouse.mcp.telling import visible
from layerhouse.mcp.tools import INSTRUCTIONS, Png, Tools
from warehouse.errors import LayerhouseError
from warehouse.extensions import layerhouse_version
from warehouse.lake import Lake

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer


def serve(lake: Lake, limits: Limits, *, images: bool) -> None:
    """Serve one lake to one client until that closes standard input. Raises UsageError where there
    is no lake, LayerhouseError where the SDK is not installed."""
    lake.require()
    make_server(lake, limits, images=images).run("stdio")


def make_server(lake: Lake, limits: Limits, *, images: bool = False) -> MCPServer[Any]:
    """The server of a lake, for any transport that the SDK has. With `images` it shows samples."""
    try:
        from mcp.server.mcpserver import MCPServer
        from mcp.types import ToolAnnotations
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        raise LayerhouseError(
            "this needs mcp, which is not installed, or not in its second version; install it "
            "with: pip install 'layerhouse[mcp]'"
        ) from error

    server: MCPServer[Any] = MCPServer(
        "layerhouse", instructions=INSTRUCTIONS, version=layerhouse_version(), log_level="WARNING"
    )
    desk = Desk(lake, limits)
    tools = Tools(desk, images=images)
    harmless = ToolAnnotations(
        read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    )
    for tool in (
        tools.overview,
        tools.schema,
        tools.sql,
        tools.verdict,
        tools.figure,
        tools.sample,
    ):
        # One text of JSON is all that is given: beside structured content an agent reads it twice.
        server.add_tool(_told(desk, tool), annotations=harmless, structured_output=False)
    return server


def _told(desk: Desk, tool: Callable[..., Any]) -> Callable[..., Any]:
    """The tool with its answer as the protocol's content, and what it refuses as a tool's error."""
    from mcp.server.mcpserver import Image
    from mcp.server.mcpserver.exceptions import ToolError

    def content(part: Any) -> Any:
        if isinstance(part, Png):
            return Image(data=part.data, format="png")
        return part if isinstance(part, str) else json.dumps(part, ensure_ascii=False)

    @wraps(tool)
    def answer(*given: Any, **named: Any) -> Any:
        try:
            found = tool(*given, **named)
        except (LayerhouseError, duckdb.Error) as fault:
            said = fault if isinstance(fault, LayerhouseError) else desk.refused(fault)
            raise ToolError(visible(str(said))) from fault
        return [content(part) for part in (found if isinstance(found, list) else [found])]

    return answer
