"""/mcp: this server's tools for MCP clients, over streamable HTTP, through the official SDK (extra mambino[mcp]).

Stateless: every request stands alone, so there are no sessions to keep or to lose. The Guard checks hosts, origins and
keys before anything comes here. Start at McpEndpoint.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

from mambino.chat.messages import ToolCall
from mambino.chat.toolbox import ToolBox
from mambino.errors import InputError, ToolError, Unsupported

if TYPE_CHECKING:
    import mcp_types
    from mcp.server.context import ServerRequestContext

PATHS = ("/mcp", "/mcp/{persona}")
_INSTRUCTIONS = "Tools of a mambino server. At /mcp/PERSONA they are those of that persona."


class McpEndpoint:
    """An ASGI application. running() must be entered around all requests, and can be entered once."""

    def __init__(self, tools: Callable[[str | None], ToolBox], *, max_body_bytes: int) -> None:
        """tools: what the persona of that id may use, or everybody. Raises Unsupported without the SDK."""
        try:
            from mcp.server.lowlevel.server import Server
            from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
        except ImportError as error:
            raise Unsupported("[mcp] the endpoint /mcp needs the official SDK: pip install 'mambino[mcp]'") from error
        self._tools = tools
        server = Server("mambino", instructions=_INSTRUCTIONS, on_list_tools=self._list, on_call_tool=self._call)
        self._manager = StreamableHTTPSessionManager(
            server, stateless=True, json_response=True, max_request_body_size=max_body_bytes
        )

    def running(self) -> AbstractAsyncContextManager[None]:
        """What the manager of requests lives in."""
        return self._manager.run()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._manager.handle_request(scope, receive, send)

    def _box(self, context: "ServerRequestContext") -> ToolBox:
        """Of the path. Raises MCPError for a persona that is not there."""
        from mcp.shared.exceptions import MCPError
        from mcp_types import INVALID_PARAMS

        persona = None if context.request is None else context.request.path_params.get("persona")
        try:
            return self._tools(persona).for_turn()
        except (InputError, ToolError) as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error

    async def _list(
        self, context: "ServerRequestContext", params: "mcp_types.PaginatedRequestParams | None"
    ) -> "mcp_types.ListToolsResult":
        import mcp_types

        schemas = self._box(context).schemas
        return mcp_types.ListToolsResult(
            tools=[
                mcp_types.Tool.model_validate(
                    {"name": one["name"], "description": one["description"], "inputSchema": one["parameters"]}
                )
                for one in schemas
            ]
        )

    async def _call(
        self, context: "ServerRequestContext", params: "mcp_types.CallToolRequestParams"
    ) -> "mcp_types.CallToolResult":
        """What goes wrong in a tool is its result, with the error flag set."""
        import mcp_types

        call = ToolCall(id="", name=params.name, arguments=params.arguments or {})
        result = await asyncio.to_thread(self._box(context).call, call)
        content = mcp_types.TextContent(type="text", text=result.text)
        return mcp_types.CallToolResult(content=[content], is_error=result.is_error)
