"""An MCP server of the official SDK, for tests: python mcp_server.py NAME [PORT]. Without a port it speaks stdio."""

import sys
import time

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer(sys.argv[1])


@server.tool()
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


@server.tool(name=f"who_{sys.argv[1]}")
def who() -> str:
    """Say who this is."""
    return f"I am {sys.argv[1]} é"


@server.tool(name=f"break_{sys.argv[1]}")
def broken() -> str:
    """Fail."""
    raise ToolError("the cable is loose")


@server.tool(name=f"sleep_{sys.argv[1]}")
def sleep(seconds: float) -> str:
    """Take long."""
    time.sleep(seconds)
    return "done"


if len(sys.argv) > 2:
    server.run("streamable-http", port=int(sys.argv[2]))
else:
    server.run()
