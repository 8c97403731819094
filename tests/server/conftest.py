"""Fixtures of the server's tests. Without the [server] extra nothing here is collected, and the header says so."""

import importlib.util
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

HAS_SERVER = all(importlib.util.find_spec(name) for name in ("starlette", "uvicorn", "jsonschema"))
if not HAS_SERVER:
    collect_ignore_glob = ["test_*.py"]
if TYPE_CHECKING:
    from serving import Served


def pytest_report_header() -> str:
    return "mambino server: " + ("tested" if HAS_SERVER else "NOT TESTED, install the [server] extra")


@pytest.fixture
def serve() -> "Iterator[Callable[..., Served]]":
    """serve(replies, **limits) -> Served; closed after the test."""
    from serving import Served, reply_service

    opened: list[Any] = []

    def make(*args: Any, access: Any = None, **limits: Any) -> Served:
        opened.append(reply_service(*args, **limits))
        return Served(opened[-1], access)

    yield make
    for service in opened:
        service.close()
