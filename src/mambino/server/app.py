"""The application: all routes around one Service, behind the Guard. Start at build_app."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from mambino.server.anthropic_messages.route import count_tokens, messages
from mambino.server.chat_completions.route import chat_completions
from mambino.server.completions.route import completions
from mambino.server.guard import Access, Guard
from mambino.server.mcp_endpoint import PATHS, McpEndpoint
from mambino.server.openapi import openapi
from mambino.server.page_routes import Page
from mambino.server.responses.route import delete_response, response, responses
from mambino.server.service import Service
from mambino.server.small_routes import (
    detokenize,
    end_thinking,
    health,
    metrics,
    model,
    models,
    tokenize,
)

Endpoint = Callable[[Service, Request], Awaitable[Response]]
RouteRow = tuple[str, str, Endpoint]  # method, path, endpoint

API: tuple[RouteRow, ...] = (
    ("POST", "/v1/chat/completions", chat_completions),
    ("POST", "/v1/chat/completions/{id}/end_thinking", end_thinking),
    ("POST", "/v1/completions", completions),
    ("POST", "/v1/responses", responses),
    ("GET", "/v1/responses/{id}", response),
    ("DELETE", "/v1/responses/{id}", delete_response),
    ("POST", "/v1/messages", messages),
    ("POST", "/v1/messages/count_tokens", count_tokens),
    ("GET", "/v1/models", models),
    ("GET", "/v1/models/{name:path}", model),
    ("POST", "/tokenize", tokenize),
    ("POST", "/detokenize", detokenize),
    ("GET", "/health", health),
    ("GET", "/metrics", metrics),
    ("GET", "/openapi.json", openapi),
)


def build_app(
    service: Service, access: Access, page: Page | None = None, mcp_endpoint: McpEndpoint | None = None
) -> ASGIApp:
    """The ASGI application; its shutdown closes service. page None leaves the web page and its routes out."""

    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(service.close)
            if mcp_endpoint is not None:
                await stack.enter_async_context(mcp_endpoint.running())
            yield

    rows = API if page is None else (*API, *_page_rows(page))
    routes = [_route(service, method, path, endpoint) for method, path, endpoint in rows]
    if mcp_endpoint is not None:
        routes += [Route(path, mcp_endpoint) for path in PATHS]
    return Guard(Router(routes, lifespan=lifespan), access, service.metrics)


def _page_rows(page: Page) -> tuple[RouteRow, ...]:
    return (
        ("GET", "/", page.index),
        ("GET", "/page/{name}", page.asset),
        ("GET", "/api/status", page.status),
        ("GET", "/api/personas", page.list_personas),
        ("PUT", "/api/personas/{id}/memory", page.update_memory),
        ("POST", "/api/tools", page.run_tool),
        ("GET", "/api/sessions", page.list_sessions),
        ("POST", "/api/sessions", page.create_session),
        ("GET", "/api/sessions/{id}", page.read_session),
        ("PUT", "/api/sessions/{id}", page.update_session),
        ("DELETE", "/api/sessions/{id}", page.delete_session),
    )


def _route(service: Service, method: str, path: str, endpoint: Endpoint) -> Route:
    async def serve(request: Request) -> Response:
        return await endpoint(service, request)

    return Route(path, serve, methods=[method])
