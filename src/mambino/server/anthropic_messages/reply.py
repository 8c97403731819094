"""Answers as Anthropic messages: whole, and as the events of a stream. Values in, JSON out. Start at message."""

from collections.abc import Iterator

from mambino.chat.events import AnswerEvent, CallArguments, CallEnded, CallStarted, TextPart
from mambino.chat.turn import Turn
from mambino.server.running import Ended
from mambino.server.schema import Body
from mambino.server.service import Answered

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "context": "model_context_window_exceeded",
    "tool_calls": "tool_use",
    "interrupted": "max_tokens",  # cut by the server
}
_UNSIGNED = ""  # a signature proves that thinking came from the vendor; ours needs none to be sent back


def message(head: Body, answered: Answered) -> Body:
    """The reply to a request without streaming. head: id, model."""
    answer = answered.ended.message
    blocks: list[Body] = []
    if answer.reasoning is not None:
        blocks.append({"type": "thinking", "thinking": answer.reasoning, "signature": _UNSIGNED})
    if answer.content:
        blocks.append({"type": "text", "text": answer.content})
    for call in answer.tool_calls:
        blocks.append({"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)})
    return {
        **head,
        "type": "message",
        "role": "assistant",
        "content": blocks,
        **_ending(answered.ended),
        "usage": _usage(answered.ended.turn),
    }


def opening(head: Body) -> Body:
    """The message as a stream begins, before anything is known of its tokens."""
    return {
        **head,
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }


def closing(ended: Ended) -> Body:
    """The stream's message_delta."""
    return {"type": "message_delta", "delta": _ending(ended), "usage": _usage(ended.turn)}


def _ending(ended: Ended) -> Body:
    last = ended.turn.tokens[-1] if ended.turn.tokens else None
    stopped_by = last.stop if last is not None else None
    if isinstance(stopped_by, str):
        return {"stop_reason": "stop_sequence", "stop_sequence": stopped_by}
    return {"stop_reason": _STOP_REASONS[ended.turn.finish_reason], "stop_sequence": None}


def _usage(turn: Turn) -> Body:
    """input_tokens are those that were not cached, as the API has it."""
    return {
        "input_tokens": turn.prompt_tokens - turn.reused_tokens,
        "cache_read_input_tokens": turn.reused_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": len(turn.tokens),
    }


class Blocks:
    """Events of an answer to the content-block events of a stream: one block is open at a time, and none is empty."""

    def __init__(self) -> None:
        self._index = -1
        self._open: str | None = None

    def feed(self, event: AnswerEvent) -> Iterator[Body]:
        """Mutates self."""
        match event:
            case TextPart(kind="content", text=said):
                yield from self._enter("text", {"type": "text", "text": ""})
                yield self._delta({"type": "text_delta", "text": said})
            case TextPart(text=thought):
                yield from self._enter("thinking", {"type": "thinking", "thinking": "", "signature": _UNSIGNED})
                yield self._delta({"type": "thinking_delta", "thinking": thought})
            case CallStarted():
                start: Body = {"type": "tool_use", "id": event.id, "name": event.name, "input": {}}
                yield from self._enter(f"call {event.index}", start)
            case CallArguments():
                yield self._delta({"type": "input_json_delta", "partial_json": event.text})
            case CallEnded():
                yield from self.finish()

    def finish(self) -> Iterator[Body]:
        """Close the open block, if any. Mutates self."""
        if self._open == "thinking":
            yield self._delta({"type": "signature_delta", "signature": _UNSIGNED})
        if self._open is not None:
            yield {"type": "content_block_stop", "index": self._index}
            self._open = None

    def _enter(self, name: str, block: Body) -> Iterator[Body]:
        if self._open == name:
            return
        yield from self.finish()
        self._index += 1
        self._open = name
        yield {"type": "content_block_start", "index": self._index, "content_block": block}

    def _delta(self, delta: Body) -> Body:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}
