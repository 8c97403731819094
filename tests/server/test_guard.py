"""Who may ask, and what happens to bad bytes: clear refusals, and a server that lives on."""

import logging
from collections.abc import Callable

import pytest

from mambino.server.body import MAX_DEPTH
from mambino.server.guard import Access
from serving import HELLO, Served

Serve = Callable[..., Served]
PATH = "/v1/chat/completions"
HOSTS = frozenset({"test"})
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("path", [PATH, "/v1/responses", "/v1/messages", "/tokenize"])
@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"", JSON, 400),
        (b"[]", JSON, 400),
        (b"null", JSON, 400),
        (b'{"messages": NaN}', JSON, 400),
        (b'{"temperature": 1e999}', JSON, 400),
        (b'{"n": 1' + b"0" * 9000 + b"}", JSON, 400),
        (b"\x00\x01\x02", JSON, 400),
        (b'{"input": "\xff"}', JSON, 400),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", JSON, 400),
        (b'{"a": ' + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1) + b"}", JSON, 400),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {}, 415),
        (b'{"a": "' + b"x" * 2**20 + b'"}', JSON, 413),
    ],
)
def test_bad_bytes_are_refused_in_words(
    serve: Serve, path: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    reply = serve().ask("POST", path, content=content, headers=headers)
    assert reply.status_code == status
    assert reply.json()["error"]["message"]


def test_a_body_that_lies_about_its_length_is_cut_off(serve: Serve) -> None:
    async def endless() -> object:
        for _ in range(10_000):
            yield b'{"a": "' + b"x" * 2**16

    served = serve()
    reply = served.run(lambda client: client.post(PATH, content=endless(), headers=JSON))  # type: ignore[arg-type]
    assert reply.status_code == 413


def test_only_known_host_names_are_answered(serve: Serve) -> None:
    served = serve(access=Access(hosts=HOSTS))
    assert served.ask("GET", "/health").status_code == 200
    refused = served.ask("GET", "/health", headers={"host": "evil.example"})
    assert refused.status_code == 403
    assert "--allow-host" in refused.json()["error"]["message"]
    assert served.ask("GET", "/health", headers={"host": "TEST:8080"}).status_code == 200


def test_other_sites_pages_may_not_call_unless_allowed(serve: Serve) -> None:
    closed = serve(access=Access(hosts=HOSTS))
    assert closed.ask("GET", "/health", headers={"origin": "http://evil.example"}).status_code == 403
    assert closed.ask("GET", "/health", headers={"origin": "http://test"}).status_code == 200
    opened = serve(access=Access(hosts=HOSTS, origins=frozenset({"http://friend.example"})))
    reply = opened.ask("OPTIONS", PATH, headers={"origin": "http://friend.example"})
    assert reply.headers["access-control-allow-origin"] == "http://friend.example"
    assert "access-control-allow-origin" not in opened.ask("GET", "/health").headers


@pytest.mark.parametrize("given", [{}, {"authorization": "Bearer wrong"}, {"x-api-key": "\xe9"}])
def test_a_wrong_key_is_refused_in_each_apis_words(serve: Serve, given: dict[str, str]) -> None:
    served = serve(access=Access(hosts=HOSTS, api_key="right"))
    sent = {name: value.encode("latin-1") for name, value in given.items()}
    reply = served.post(PATH, {"messages": HELLO}, headers=sent)
    assert reply.status_code == 401
    assert reply.json()["error"]["type"] == "authentication_error"
    assert served.post("/v1/messages", {}, headers=sent).json()["type"] == "error"
    assert served.ask("GET", "/metrics", headers=sent).status_code == 401
    assert served.ask("GET", "/health", headers=sent).status_code == 200


@pytest.mark.parametrize("given", [{"authorization": "Bearer right"}, {"x-api-key": "right"}])
def test_the_right_key_opens(serve: Serve, given: dict[str, str]) -> None:
    served = serve(access=Access(hosts=HOSTS, api_key="right"))
    assert served.post(PATH, {"messages": HELLO}, headers=given).status_code == 200


def test_unknown_paths_and_methods_have_a_json_reply(serve: Serve) -> None:
    served = serve()
    assert served.ask("GET", "/nowhere").json()["error"]["type"] == "not_found_error"
    wrong = served.ask("GET", PATH)
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "POST"


def test_the_log_has_a_line_a_request_and_no_contents(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mambino.server")
    served = serve()
    served.post(PATH, {"messages": [{"role": "user", "content": "a secret"}]})
    served.ask("GET", "/a%0Ab")
    lines = [record.getMessage() for record in caplog.records if "HTTP" not in record.getMessage()]
    assert any(line.startswith(f"POST {PATH} 200") for line in lines)
    assert not any("secret" in line or "\n" in line for line in lines)


def test_metrics_count_requests_by_route_not_by_path(serve: Serve) -> None:
    served = serve()
    served.post(PATH, {"messages": HELLO})
    served.ask("GET", "/made/up")
    served.ask("GET", "/v1/responses/made-up")
    text = served.ask("GET", "/metrics").text
    assert f'mambino_requests_total{{route="{PATH}",status="200"}} 1' in text
    assert 'route="unknown",status="404"' in text
    assert 'route="/v1/responses/{id}",status="404"' in text
    assert "made" not in text
    assert 'mambino_tokens_total{kind="completion"}' in text
    assert "mambino_first_token_seconds_count 1" in text
