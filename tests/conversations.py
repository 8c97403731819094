"""Conversations to learn from, in few words, as values and as files. Start at row and chats."""

import json
from pathlib import Path

from mambino.chat.messages import Message, ToolCall
from mambino.posttrain.rows import ChatRow


def user(text: str) -> Message:
    return Message(role="user", content=text)


def answer(text: str, reasoning: str | None = None, *calls: ToolCall) -> Message:
    return Message(role="assistant", content=text, reasoning=reasoning, tool_calls=calls)


def row(*messages: Message, tools: tuple[dict[str, object], ...] = (), untrained: tuple[int, ...] = ()) -> ChatRow:
    is_trained = tuple(m.role == "assistant" and index not in untrained for index, m in enumerate(messages))
    return ChatRow(line=1, messages=messages, tools=tools, is_trained=is_trained)


def chats(path: Path, count: int = 10, *, long_line: int | None = None) -> Path:
    rows = [
        {"messages": [
            {"role": "user", "content": "x" * 300 if index + 1 == long_line else f"{index}?"},
            {"role": "assistant", "content": "yes.", "reasoning_content": "I think."},
        ]}
        for index in range(count)
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)))
    return path
