"""An agent framework from PyPI drives the server unchanged: its tool is called, its result answered, text streamed."""

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING

import httpx
import pytest

from serving import Served, reply_service
from tiny_chat import tiny_tokenizer
from tool_template import TOOL_TEMPLATE, written_call

if TYPE_CHECKING:
    from pydantic_ai import Agent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("pydantic_ai") is None, reason="NO pydantic-ai-slim: no agent framework is tested"),
]


def agent_of(served: Served) -> "Agent[None, str]":
    from openai import AsyncOpenAI
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=served.app), base_url="http://test/v1")
    client = AsyncOpenAI(base_url="http://test/v1", api_key="none", http_client=http)
    agent = Agent(OpenAIChatModel("tiny", provider=OpenAIProvider(openai_client=client)))

    @agent.tool_plain
    def add(number: int) -> str:
        """Add one."""
        return str(number + 1)

    return agent


def served() -> Served:
    tokenizer = tiny_tokenizer(TOOL_TEMPLATE)
    return Served(reply_service([written_call("add", number="4"), "it is five"], tokenizer=tokenizer))


def test_a_tool_of_the_framework_is_called_and_answered() -> None:
    result = asyncio.run(agent_of(served()).run("4 and 1?"))
    assert result.output == "it is five"
    kinds = [part.part_kind for message in result.all_messages() for part in message.parts]
    assert kinds.count("tool-call") == kinds.count("tool-return") == 1


def test_it_streams() -> None:
    async def streamed() -> list[str]:
        async with agent_of(served()).run_stream("4 and 1?") as result:
            return [text async for text in result.stream_text(delta=True)]

    pieces = asyncio.run(streamed())
    assert "".join(pieces) == "it is five"
