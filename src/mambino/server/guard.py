"""Before and around every route: host, origin and key checks, errors as JSON, headers, counting, the access log.

Plain ASGI. Knows no route's meaning, except which API a path belongs to. Start at Guard.
"""

import hmac
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mambino.server.metrics import Metrics
from mambino.server.problems import anthropic_error, openai_error, status_of
from mambino.server.reply import JsonReply

OPEN_PATHS = ("/", "/health", "/favicon.ico")  # no key: the page asks for it itself
OPEN_FOLDER = "/page/"
ANTHROPIC_FOLDER = "/v1/messages"
_SECURITY = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "x-frame-options": "DENY"}

_log = logging.getLogger("mambino.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may ask. hosts: names this server answers to (without port), None for any; api_key None: nobody is asked
    for one; origins: pages of other origins that may call it (CORS)."""

    hosts: frozenset[str] | None
    api_key: str | None = None
    origins: frozenset[str] = frozenset()


class Guard:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, access: Access, metrics: Metrics) -> None:
        self._app = app
        self._access = access
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["app"] = self  # with one, the router raises for a path or a method that it does not know
        watched = _Watched(send, self._headers(Headers(scope=scope).get("origin")))
        started = time.perf_counter()
        try:
            self._check(scope)
            if not _is_preflight(scope):
                await self._app(scope, receive, watched.send)
            else:
                await Response(status_code=204)(scope, receive, watched.send)
        except Exception as error:  # every request gets an answer, in its own API's words
            if status_of(error) == 500:
                _log.exception("%s %s failed", scope["method"], _shown(scope["path"]))
            if not watched.status:
                await _problem(scope, error)(scope, receive, watched.send)
        finally:
            route = scope.get("route")
            self._metrics.request(route.path if route is not None else "unknown", watched.status)
            elapsed_s = time.perf_counter() - started
            _log.info("%s %s %d %.3fs", scope["method"], _shown(scope["path"]), watched.status, elapsed_s)

    def _check(self, scope: Scope) -> None:
        headers, path = Headers(scope=scope), scope["path"]
        host = _name(headers.get("host", ""))
        if self._access.hosts is not None and host not in self._access.hosts:
            raise HTTPException(403, f"this server does not answer to the name {host[:80]!r}; see --allow-host")
        origin = headers.get("origin")
        if origin is not None and origin not in self._access.origins and not _is_same(origin, headers.get("host", "")):
            raise HTTPException(403, f"pages of {origin[:80]!r} may not call this server; see --allow-origin")
        if self._access.api_key is None or path in OPEN_PATHS or path.startswith(OPEN_FOLDER) or _is_preflight(scope):
            return
        given = headers.get("authorization", "").removeprefix("Bearer ").strip() or headers.get("x-api-key", "")
        if not hmac.compare_digest(given.encode(), self._access.api_key.encode()):
            raise HTTPException(401, "wrong or missing API key: send Authorization: Bearer KEY, or x-api-key: KEY")

    def _headers(self, origin: str | None) -> Mapping[str, str]:
        if origin is None or origin not in self._access.origins:
            return _SECURITY
        return {
            **_SECURITY,
            "access-control-allow-origin": origin,
            "access-control-allow-headers": "authorization, content-type, x-api-key, anthropic-version",
            "access-control-allow-methods": "GET, POST, PUT, DELETE",
            "vary": "origin",
        }


class _Watched:
    """send, with headers added and the status remembered; 0 until there is one."""

    def __init__(self, send: Send, headers: Mapping[str, str]) -> None:
        self._send = send
        self._headers = headers
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message).update(self._headers)
        await self._send(message)


def _problem(scope: Scope, error: Exception) -> JsonReply:
    words = anthropic_error if scope["path"].startswith(ANTHROPIC_FOLDER) else openai_error
    headers = error.headers if isinstance(error, HTTPException) else None
    return JsonReply(words(error), status_of(error), headers)


def _is_preflight(scope: Scope) -> bool:
    return bool(scope["method"] == "OPTIONS")


def _name(host: str) -> str:
    """The host without its port, in lower case."""
    name, bracket, _ = host.lower().partition("]")
    return name + bracket if bracket else name.partition(":")[0]


def _is_same(origin: str, host: str) -> bool:
    return urlsplit(origin).netloc.lower() == host.lower()


def _shown(path: str) -> str:
    """A path for the log: one line, not too long."""
    return path[:200].encode("unicode_escape").decode("ascii")
