"""Answers as response objects: whole, and as the events of a stream. Values in, JSON out. Start at Output."""

import json
from collections import deque
from collections.abc import Iterable, Iterator

from mambino.chat.events import AnswerEvent, CallArguments, CallEnded, CallStarted, TextPart
from mambino.chat.turn import Turn
from mambino.server.running import Ended
from mambino.server.schema import Body

_ECHOED = ("instructions", "max_output_tokens", "previous_response_id", "temperature", "top_p", "tools", "reasoning")


def shell(head: Body, asked: Body) -> Body:
    """The response before it has an answer. head: id, created_at, model; asked: the request's body."""
    return {
        **head,
        "object": "response",
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
        "metadata": asked.get("metadata", {}),
        "tool_choice": asked.get("tool_choice", "auto"),
        "parallel_tool_calls": asked.get("parallel_tool_calls", True),
        "store": asked.get("store", True),
        "text": asked.get("text", {"format": {"type": "text"}}),
        "truncation": "disabled",
        "background": False,
        **{name: asked.get(name) for name in _ECHOED},
        "tools": asked.get("tools", []),
    }


def finished(shell: Body, output: list[Body], ended: Ended) -> Body:
    """The response with its answer."""
    reason = ended.turn.finish_reason
    is_cut = reason in ("length", "context", "interrupted")
    return {
        **shell,
        "status": "incomplete" if is_cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "output": output,
        "usage": _usage(ended.turn),
    }


def _usage(turn: Turn) -> Body:
    return {
        "input_tokens": turn.prompt_tokens,
        "input_tokens_details": {"cached_tokens": turn.reused_tokens},
        "output_tokens": len(turn.tokens),
        "output_tokens_details": {"reasoning_tokens": turn.reasoning_tokens},
        "total_tokens": turn.prompt_tokens + len(turn.tokens),
    }


def output_items(response_id: str, events: Iterable[AnswerEvent]) -> list[Body]:
    """The output of a whole answer."""
    output = Output(response_id)
    for event in events:
        deque(output.feed(event), maxlen=0)
    deque(output.finish(), maxlen=0)
    return output.items


class Output:
    """Builds the output items from an answer's events, and says what a stream would hear of it.

    response_id names the items; items holds those that are complete.
    """

    def __init__(self, response_id: str) -> None:
        self._stem = response_id.removeprefix("resp_")
        self.items: list[Body] = []
        self._kind: str | None = None
        self._said = ""
        self._call: tuple[str, str] = ("", "")  # id, name

    def feed(self, event: AnswerEvent) -> Iterator[Body]:
        """Mutates self."""
        match event:
            case TextPart():
                yield from self._enter("message" if event.kind == "content" else "reasoning")
                self._said += event.text
                extra: Body = {"logprobs": []} if event.kind == "content" else {}
                yield self._about_text("delta", {"delta": event.text, **extra})
            case CallStarted():
                yield from self.finish()
                self._call = (event.id, event.name)
                yield from self._enter("function_call")
            case CallArguments():
                self._said += event.text
                yield self._about("response.function_call_arguments.delta", {"delta": event.text})
            case CallEnded():
                self._said = json.dumps(dict(event.call.arguments), ensure_ascii=False)
                yield from self.finish()

    def finish(self) -> Iterator[Body]:
        """Close the item that is open, if any. Mutates self."""
        if self._kind is None:
            return
        if self._kind == "function_call":
            done: Body = {"arguments": self._said, "name": self._call[1]}
            yield self._about("response.function_call_arguments.done", done)
        else:
            extra: Body = {"logprobs": []} if self._kind == "message" else {}
            yield self._about_text("done", {"text": self._said, **extra})
            yield self._about("response.content_part.done", {"content_index": 0, "part": self._part()})
        item = self._item("completed")
        yield {"type": "response.output_item.done", "output_index": len(self.items), "item": item}
        self.items.append(item)
        self._kind, self._said = None, ""

    def _enter(self, kind: str) -> Iterator[Body]:
        if self._kind == kind:
            return
        yield from self.finish()
        self._kind = kind
        item = self._item("in_progress")
        yield {"type": "response.output_item.added", "output_index": len(self.items), "item": item}
        if kind != "function_call":
            yield self._about("response.content_part.added", {"content_index": 0, "part": self._part()})

    def _part(self) -> Body:
        if self._kind == "reasoning":
            return {"type": "reasoning_text", "text": self._said}
        return {"type": "output_text", "text": self._said, "annotations": [], "logprobs": []}

    def _item(self, status: str) -> Body:
        base: Body = {"id": self._item_id(), "type": self._kind, "status": status}
        content = [self._part()] if status == "completed" else []
        match self._kind:
            case "reasoning":
                return {**base, "summary": [], "content": content}
            case "message":
                return {**base, "role": "assistant", "content": content}
            case _:
                return {**base, "call_id": self._call[0], "name": self._call[1], "arguments": self._said}

    def _item_id(self) -> str:
        prefix = {"reasoning": "rs", "message": "msg", "function_call": "fc"}[self._kind or "message"]
        return f"{prefix}_{self._stem}_{len(self.items)}"

    def _about_text(self, what: str, more: Body) -> Body:
        name = "output_text" if self._kind == "message" else "reasoning_text"
        return self._about(f"response.{name}.{what}", {"content_index": 0, **more})

    def _about(self, kind: str, more: Body) -> Body:
        return {"type": kind, "item_id": self._item_id(), "output_index": len(self.items), **more}
