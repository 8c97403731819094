"""Greedy text is the same whatever the engine remembers, and whoever else it serves: checked on the bundled model."""

import threading
from pathlib import Path

import pytest

from mambino.chat.answering import Answerer
from mambino.chat.messages import Message
from mambino.chat.request import AnswerRequest
from mambino.generation.params import SamplingParams
from mambino.generation.prefix_cache import SnapshotTree
from mambino.generation.state_store import StateStore
from mambino.lm import LanguageModel
from mambino.load import open_model, open_tokenizer
from mambino.server.worker import BatchingLM

pytestmark = pytest.mark.native

TOKENIZER = open_tokenizer()
SYSTEM = Message(role="system", content="You are a small model that tells stories. " * 6)
QUESTIONS = (
    "Tell me a story about a fox.",
    "Hello!",
    "Who are you?",
    "What is a river?",
    "Tell me about a boat.",
    "Why?",
)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return open_model()


def request(*texts: str) -> AnswerRequest:
    """Questions and answers in turn, ending in a question."""
    roles = ("user", "assistant")
    messages = [Message(role=roles[index % 2], content=text) for index, text in enumerate(texts)]  # type: ignore[arg-type]
    return AnswerRequest(messages=(SYSTEM, *messages), params=SamplingParams(temperature=0.0, max_tokens=60))


def answerer(model: LanguageModel, *, slots: int = 1, cache: int = 2**28, store: StateStore | None = None) -> Answerer:
    return Answerer(model, TOKENIZER, context=1024, slots=slots, cache=SnapshotTree(cache), store=store)


def ids(answers: Answerer, asked: AnswerRequest) -> list[int]:
    with answers.answer(asked) as answer:
        for _ in answer:
            pass
        return [event.id for event in answer.turn.tokens]


@pytest.fixture(scope="module")
def alone(model: LanguageModel) -> dict[str, list[int]]:
    return {text: ids(answerer(model, cache=0), request(text)) for text in QUESTIONS}


def test_batched_with_others(model: LanguageModel, alone: dict[str, list[int]]) -> None:
    batching = BatchingLM(model)
    shared = answerer(batching, slots=len(QUESTIONS))
    found: dict[str, list[int]] = {}

    def ask(text: str) -> None:
        with batching.caller():
            found[text] = ids(shared, request(text))

    for _ in range(2):  # the second time from snapshots
        threads = [threading.Thread(target=ask, args=(text,)) for text in QUESTIONS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == alone
    assert batching.counts.sequences > 1.5 * batching.counts.passes
    batching.close()


def test_from_a_snapshot(model: LanguageModel, alone: dict[str, list[int]]) -> None:
    shared = answerer(model)
    assert {text: ids(shared, request(text)) for text in QUESTIONS} == alone


def test_from_disk(model: LanguageModel, alone: dict[str, list[int]], tmp_path: Path) -> None:
    first = answerer(model, store=StateStore(tmp_path, model, "f" * 32))
    ids(first, request(QUESTIONS[0]))
    first.warm(AnswerRequest(messages=(SYSTEM,)), on_disk=True)
    restarted = answerer(model, store=StateStore(tmp_path, model, "f" * 32))
    with restarted.answer(request(QUESTIONS[1])) as answer:
        assert answer.turn.reused_tokens > 50
        for _ in answer:
            pass
        assert [event.id for event in answer.turn.tokens] == alone[QUESTIONS[1]]


def test_after_an_edit(model: LanguageModel) -> None:
    edited = request("Hello there!", "Hi.", QUESTIONS[0])
    expected = ids(answerer(model, cache=0), edited)
    shared = answerer(model)
    ids(shared, request("Hello!", "Hi.", QUESTIONS[0]))
    ids(shared, request("Hello!", "Hi.", QUESTIONS[0], "A fox ran.", "And then?"))
    assert ids(shared, edited) == expected
