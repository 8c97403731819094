"""Players without a model: one that says what it is told, one that fails, one that answers from a table."""

from collections.abc import Callable

from mambino.chat.messages import Message, ToolCall
from mambino.chat.request import AnswerRequest
from mambino.errors import FetchError, InputError
from mambino.evals.task import Player, Reply


class Told:
    """Answers with what reply(prompt) says; None is a dead endpoint, an InputError is raised."""

    name = "told"
    knows_tools: bool = True

    def __init__(self, reply: Callable[[str], str | InputError | None]) -> None:
        self.reply = reply
        self.requests: list[AnswerRequest] = []

    def respond(self, request: AnswerRequest) -> Reply:
        self.requests.append(request)
        text = self.reply(request.messages[-1].content)
        if text is None:
            raise FetchError("[endpoint] cannot reach nobody")
        if isinstance(text, InputError):
            raise text
        finish = "length" if text.endswith("...") else "stop"
        return reply_of(text, finish=finish)


def reply_of(text: str, *, finish: str = "stop", calls: tuple[ToolCall, ...] = ()) -> Reply:
    message = Message(role="assistant", content=text, tool_calls=calls)
    return Reply(message=message, finish_reason=finish, prompt_tokens=1, completion_tokens=1, elapsed_s=0.0)


def told(reply: Callable[[str], str | InputError | None]) -> Player:
    return Player(responder=Told(reply))
