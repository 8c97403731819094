"""Clients choose an adapter by model name or field; answers, counts and lists speak of the one that was chosen."""

from typing import Any

import pytest

from fake_lm import FakeLM
from serving import HELLO, Served, reply_service
from tiny_chat import tiny_chat_config, tiny_tokenizer
from tiny_models import tiny_adapter

CONFIG = tiny_chat_config(tiny_tokenizer())
ADAPTERS = {"poet": tiny_adapter(CONFIG, 1), "cook": tiny_adapter(CONFIG, 2)}


@pytest.fixture(scope="module")
def served() -> Served:
    """Noise that each adapter changes."""
    return Served(reply_service(model=FakeLM(CONFIG), adapters=ADAPTERS, slots=2))


def said(served: Served, **asked: object) -> tuple[str, str]:
    response = served.post("/v1/chat/completions", {"messages": HELLO, "max_tokens": 12, "logprobs": True, **asked})
    body: dict[str, Any] = response.json()
    return body["model"], str(body["choices"][0]["logprobs"])


def test_models_lists_every_choice(served: Served) -> None:
    listed = [one["id"] for one in served.ask("GET", "/v1/models").json()["data"]]
    assert listed == ["tiny", "tiny:poet", "tiny:cook"]
    assert served.ask("GET", "/v1/models/tiny:poet").json()["id"] == "tiny:poet"
    assert served.ask("GET", "/v1/models/tiny:other").status_code == 404


def test_an_adapter_is_chosen_by_name_or_by_field_and_stays_with_its_request(served: Served) -> None:
    plain, poet, cook = (said(served, model=name) for name in ("tiny", "tiny:poet", "tiny:cook"))
    assert [name for name, _ in (plain, poet, cook)] == ["tiny", "tiny:poet", "tiny:cook"]
    assert len({text for _, text in (plain, poet, cook)}) == 3
    assert said(served, adapter="poet") == poet
    assert said(served, model="tiny:poet", adapter="cook") == cook
    assert said(served, model="whatever") == said(served) == plain


def test_every_route_takes_it(served: Served) -> None:
    bodies: dict[str, dict[str, object]] = {
        "/v1/completions": {"prompt": "hi", "max_tokens": 4},
        "/v1/responses": {"input": "hi", "max_output_tokens": 4},
        "/v1/messages": {"messages": HELLO, "max_tokens": 4},
    }
    for path, body in bodies.items():
        assert served.post(path, {**body, "model": "tiny:poet"}).json()["model"] == "tiny:poet", path
        assert served.post(path, {**body, "model": "tiny", "adapter": "cook"}).json()["model"] == "tiny:cook", path


def test_an_adapter_that_is_not_here_is_named(served: Served) -> None:
    for asked in ({"model": "tiny:bard"}, {"adapter": "bard"}):
        response = served.post("/v1/chat/completions", {"messages": HELLO, **asked})
        assert response.status_code == 404
        assert "no adapter 'bard' here; there are: poet, cook" in response.text
