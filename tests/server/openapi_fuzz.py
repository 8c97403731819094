"""Schemathesis drives the OpenAPI document against a running server: whatever is sent, no answer is a 5xx.

Run by test_openapi_fuzz.py in a process of its own: importing Schemathesis takes seconds, which only slow tests have.
"""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from mambino.server.app import build_app
from mambino.server.guard import Access
from mambino.server.openapi import document
from serving import reply_service

EXAMPLES = 12  # for each operation; the same ones in every run
SLOTS = 4


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a server that must have lost no slot in the end."""
    import uvicorn

    service = reply_service(["Hello there."], slots=SLOTS, max_waiting=64, max_body_bytes=100_000)
    sock = socket.create_server(("127.0.0.1", 0))
    app = build_app(service, Access(hosts=frozenset({"127.0.0.1"})))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        assert not service.slots.running, "a slot was lost"
    finally:
        server.should_exit = True
        thread.join(20)
        sock.close()


schema = schemathesis.openapi.from_dict(document())


@schema.parametrize()
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_breaks_the_server(case, address):  # type: ignore[no-untyped-def]
    case.call_and_validate(base_url=address, checks=[schemathesis.checks.not_a_server_error], timeout=20)
