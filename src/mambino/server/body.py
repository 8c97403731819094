"""Bytes of a request to a checked body: size, type, JSON, depth, schema, in this order. Start at read_body."""

import asyncio
import json
import math
from collections.abc import Mapping
from typing import Never

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from mambino.errors import InputError
from mambino.server.schema import Body, Checker

MAX_DEPTH = 64  # of nested lists and objects; schemas of tools are the deepest thing that people send
CLIENT_GONE = 499  # nobody reads this reply; the log and the metrics show it
_LARGE_BYTES = 64 * 2**10  # from here on, parsing would hold up the event loop


async def read_body(request: Request, checker: Checker, max_bytes: int) -> Body:
    """The checked body. Raises HTTPException 413, 415 or CLIENT_GONE; InputError that names the fault."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise HTTPException(415, f"content-type must be application/json, got {content_type[:80] or 'none'!r}")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    received = bytearray()
    try:
        async for chunk in request.stream():
            received += chunk
            if len(received) > max_bytes:
                raise _too_large(max_bytes)
    except ClientDisconnect:
        raise HTTPException(CLIENT_GONE, "the client has gone") from None
    if len(received) > _LARGE_BYTES:
        return await asyncio.to_thread(parse_body, bytes(received), checker)
    return parse_body(bytes(received), checker)


def parse_body(received: bytes, checker: Checker) -> Body:
    """Raises InputError that names the fault."""
    try:
        value = json.loads(received, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:  # not JSON, not UTF-8, or a number of thousands of digits
        raise InputError(f"[request] the body is not JSON: {str(error)[:200]}") from None
    _check_depth(value)
    return checker.check(value)


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, Mapping) else one)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits[:20]} is too large")
    return value


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")


def _too_deep() -> InputError:
    return InputError(f"[request] the body is nested deeper than {MAX_DEPTH} levels")


def _too_large(max_bytes: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {max_bytes} bytes; start the server with a larger --max-body")
