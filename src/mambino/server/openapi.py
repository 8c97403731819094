"""GET /openapi.json: the APIs as a document, made of the same schemas that check requests. Start at document."""

from starlette.requests import Request
from starlette.responses import Response

from mambino.server.anthropic_messages.request import COUNT, MESSAGES
from mambino.server.chat_completions.request import CHAT_COMPLETION
from mambino.server.completions.request import COMPLETION
from mambino.server.reply import JsonReply
from mambino.server.responses.request import RESPONSE
from mambino.server.schema import Body, Checker
from mambino.server.service import Service
from mambino.server.small_routes import DETOKENIZE, TOKENIZE

_OBJECT: Body = {"schema": {"type": "object"}}
_JSON: Body = {"description": "The reply.", "content": {"application/json": _OBJECT}}
_STREAMED: Body = {
    "description": "The reply; with stream true, server-sent events.",
    "content": {"application/json": _OBJECT, "text/event-stream": {"schema": {"type": "string"}}},
}
_TEXT: Body = {"description": "Text.", "content": {"text/plain": {"schema": {"type": "string"}}}}
_PROBLEMS = {
    "400": "The request cannot be served; the message names the field.",
    "401": "Wrong or missing API key.",
    "403": "This host name or origin is not allowed.",
    "404": "No such thing here.",
    "413": "The body is too large.",
    "415": "The body is not application/json.",
    "429": "The line is full; Retry-After says when to come again.",
    "503": "The server is shutting down.",
}

# (path, what it does, schema of the body, whether the reply may stream)
_POSTS: tuple[tuple[str, str, Checker, bool], ...] = (
    ("/v1/chat/completions", "OpenAI's chat completions.", CHAT_COMPLETION, True),
    ("/v1/completions", "OpenAI's completions of plain text.", COMPLETION, True),
    ("/v1/responses", "OpenAI's stateful responses.", RESPONSE, True),
    ("/v1/messages", "Anthropic's messages.", MESSAGES, True),
    ("/v1/messages/count_tokens", "Tokens of a prompt.", COUNT, False),
    ("/tokenize", "Text to token ids.", TOKENIZE, False),
    ("/detokenize", "Token ids to text.", DETOKENIZE, False),
)
_GETS = (
    ("/v1/models", "The model.", _JSON),
    ("/health", "Whether requests are taken.", _JSON),
    ("/metrics", "Counters for Prometheus.", _TEXT),
)
_BY_ID = (
    ("get", "/v1/models/{id}", "One model."),
    ("get", "/v1/responses/{id}", "A stored response."),
    ("delete", "/v1/responses/{id}", "Forget a stored response."),
    ("post", "/v1/chat/completions/{id}/end_thinking", "Answer now: end the thinking of a running answer."),
)


async def openapi(service: Service, request: Request) -> Response:
    return JsonReply(document())


def document() -> Body:
    """The OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Body]] = {}
    for path, summary, checker, streams in _POSTS:
        body = {"required": True, "content": {"application/json": {"schema": checker.schema}}}
        paths.setdefault(path, {})["post"] = {
            "summary": summary,
            "requestBody": body,
            "responses": {"200": _STREAMED if streams else _JSON, **_problems()},
        }
    for path, summary, reply in _GETS:
        paths.setdefault(path, {})["get"] = {"summary": summary, "responses": {"200": reply, **_problems()}}
    for method, path, summary in _BY_ID:
        identifier = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        paths.setdefault(path, {})[method] = {
            "summary": summary,
            "parameters": [identifier],
            "responses": {"200": _JSON, **_problems()},
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "mambino", "version": "1", "summary": "A language model on this machine."},
        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"key": []}],
        "paths": paths,
    }


def _problems() -> dict[str, Body]:
    return {
        status: {"description": meaning, "content": {"application/json": _OBJECT}}
        for status, meaning in _PROBLEMS.items()
    }
