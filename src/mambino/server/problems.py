"""What went wrong, as each API's clients expect to be told: a status and a JSON object.

Start at status_of.
"""

import re

from starlette.exceptions import HTTPException

from mambino.errors import ContextFull, InputError, MambinoError, TemplateError, ToolError, Unsupported
from mambino.server.schema import Body

_REFUSED = (InputError, ContextFull, TemplateError, ToolError, Unsupported)  # the request's fault, not the server's
_PARAM = re.compile(r"\[request\] ([\w.\[\]]+): ")
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPES = _OPENAI_TYPES | {413: "request_too_large", 503: "overloaded_error"}


def status_of(error: BaseException) -> int:
    """The HTTP status that error amounts to; 500 for what nobody foresaw."""
    if isinstance(error, HTTPException):
        return error.status_code
    return 400 if isinstance(error, _REFUSED) else 500


def openai_error(error: BaseException) -> Body:
    """{"error": {"message", "type", "param", "code"}}, which mambino's own routes use too."""
    status = status_of(error)
    default = "invalid_request_error" if status < 500 else "server_error"
    found = _PARAM.match(str(error))
    return {
        "error": {
            "message": _message(error),
            "type": _OPENAI_TYPES.get(status, default),
            "param": found.group(1) if found else None,
            "code": "context_length_exceeded" if isinstance(error, ContextFull) else None,
        }
    }


def anthropic_error(error: BaseException) -> Body:
    """{"type": "error", "error": {"type", "message"}}."""
    status = status_of(error)
    default = "invalid_request_error" if status < 500 else "api_error"
    return {"type": "error", "error": {"type": _ANTHROPIC_TYPES.get(status, default), "message": _message(error)}}


def _message(error: BaseException) -> str:
    if isinstance(error, HTTPException):
        return error.detail
    return str(error) if isinstance(error, MambinoError) else "the server failed; its log says why"
