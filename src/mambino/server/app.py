"""The application: all routes around one Service, behind the Guard. Start at build_app."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from mambino.server.chat_completions.route import chat_completions
from mambino.server.guard import Access, Guard
from mambino.server.service import Service

Endpoint = Callable[[Service, Request], Awaitable[Response]]

# (method, path, endpoint): also what /openapi.json lists
ROUTES: tuple[tuple[str, str, Endpoint], ...] = (("POST", "/v1/chat/completions", chat_completions),)


def build_app(service: Service, access: Access) -> ASGIApp:
    """The ASGI application; its shutdown closes service."""

    @asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        yield
        service.close()

    routes = [_route(service, method, path, endpoint) for method, path, endpoint in ROUTES]
    return Guard(Router(routes, lifespan=lifespan), access, service.metrics)


def _route(service: Service, method: str, path: str, endpoint: Endpoint) -> Route:
    async def serve(request: Request) -> Response:
        return await endpoint(service, request)

    return Route(path, serve, methods=[method])
