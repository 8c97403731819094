"""An agent whose tools come from an MCP server.

    python examples/mcp_agent.py MODEL "How much is 2 and 3?" COMMAND...      (needs mambino[mcp])

COMMAND starts any MCP server that speaks over standard input and output, such as `npx some-server` or `python mine.py`.
"""

import sys

from mambino import Chat, SamplingParams, open_model, open_tokenizer
from mambino.chat.events import CallEnded, TextPart, ToolFinished
from mambino.chat.mcp import McpServer, McpTools

name, question, *command = sys.argv[1:]
with McpTools([McpServer(name="tools", command=tuple(command))]) as server:
    chat = Chat(
        open_model(name),
        open_tokenizer(name),
        max_tokens=4096,
        system="Use the tools to answer. Answer in one sentence.",
        params=SamplingParams(temperature=0.6, top_p=0.95),
        tools=server.tools,
    )
    for event in chat.reply(question):
        match event:
            case CallEnded(call=call):
                print(f"> {call.name} {dict(call.arguments)}")
            case ToolFinished(text=text):
                print(f"< {text}")
            case TextPart(kind="content", text=text):
                print(text, end="", flush=True)
print()
