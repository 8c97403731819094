"""Tools never break a chat: wrong calls, failures, endless runs and floods of text are told to the model in words."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping

import pytest

from mambino.chat.messages import ToolCall
from mambino.chat.toolbox import ToolBox, ToolResult
from mambino.chat.tools import Tool
from mambino.errors import InputError, ToolError

SHORT_S = 0.05
released = threading.Event()


def add(a: int, b: int = 1) -> int:
    return a + b


def fail(how: str) -> None:
    raise {"value": ValueError("no \ud800 such thing"), "tool": ToolError("try x"), "exit": SystemExit(3)}[how]


def hang() -> None:
    released.wait(10)


def flood(size: int) -> str:
    return "abcd" * size


async def later(text: str) -> dict[str, str]:
    await asyncio.sleep(0)
    return {"said": text}


cancelled: list[bool] = []


async def never() -> None:
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        cancelled.append(True)
        raise


async def own_timeout() -> None:
    raise TimeoutError("the printer")


def call(name: str, arguments: Mapping[str, object], **options: float) -> ToolResult:
    box = ToolBox([add, fail, hang, flood, later, never, own_timeout], timeout_s=options.get("timeout_s", 5.0))
    return box.call(ToolCall(id="1", name=name, arguments=arguments))


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("add", {"a": 2, "b": 3}, "5"),
        ("add", {"a": 2, "b": None}, "3"),
        ("later", {"text": "é"}, '{"said": "é"}'),
    ],
)
def test_results_become_text(name: str, arguments: dict[str, object], text: str) -> None:
    result = call(name, arguments)
    assert (result.text, result.is_error, result.is_repeat) == (text, False, False)
    assert 0 < result.elapsed_s < 5


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("ad", {}, ["no tool is named 'ad'", "add, fail, flood"]),
        ("add", {}, ["'a' is a required property", "correct them"]),
        ("add", {"a": "2"}, ["a: '2' is not of type 'integer'"]),
        ("add", {"a": True}, ["True is not of type 'integer'"]),
        ("add", {"a": None}, ["None is not of type 'integer'"]),
        ("add", {"a": 1, "c": 2}, ["'c' was unexpected"]),
        ("fail", {"how": "value"}, ["fail failed: ValueError: no ? such thing"]),
        ("fail", {"how": "tool"}, ["Error: try x"]),
        ("fail", {"how": "exit"}, ["SystemExit"]),
        ("own_timeout", {}, ["TimeoutError: the printer"]),
    ],
)
def test_errors_are_told_in_words(name: str, arguments: dict[str, object], words: list[str]) -> None:
    result = call(name, arguments)
    assert result.is_error
    assert result.text.startswith("Error: ")
    assert "Traceback" not in result.text
    for word in words:
        assert word in result.text


@pytest.mark.parametrize("name", ["hang", "never"])
def test_a_tool_that_takes_too_long_is_given_up(name: str) -> None:
    result = call(name, {}, timeout_s=SHORT_S)
    released.set()
    assert result.is_error
    assert f"{name} took longer than 0.05 s" in result.text
    assert name != "never" or cancelled


def test_a_long_result_keeps_its_ends() -> None:
    result = ToolBox([flood], max_result_chars=100).call(ToolCall(id="", name="flood", arguments={"size": 50}))
    assert result.text.startswith("abcd" * 10)
    assert result.text.endswith("abcd")
    assert "[... 100 characters left out ...]" in result.text
    assert len(result.text) < 150


def test_the_same_call_again_and_again_is_stopped() -> None:
    box = ToolBox([add], max_repeats=2)
    ask = ToolCall(id="", name="add", arguments={"a": 1})
    assert [box.call(ask).text for _ in range(3)] == ["2", "2", "2"]
    stopped = box.call(ask)
    assert stopped.is_repeat
    assert "3 times with the same arguments" in stopped.text
    assert not box.call(ToolCall(id="", name="add", arguments={"a": 2})).is_repeat
    assert not box.for_turn().call(ask).is_repeat
    assert box.call(ask).is_repeat


def test_calls_run_side_by_side_and_answer_in_order() -> None:
    both = threading.Barrier(2, timeout=5)

    def meet(text: str) -> str:
        both.wait()
        return text

    calls = [ToolCall(id="", name="meet", arguments={"text": text}) for text in "ab"]
    assert [result.text for result in ToolBox([meet]).call_all(calls)] == ["a", "b"]


def test_schemas_come_in_one_order() -> None:
    one, other = ToolBox([add, flood]), ToolBox([flood, add])
    assert one.schemas == other.schemas
    assert [schema["name"] for schema in one.schemas] == ["add", "flood"]
    assert [list(schema) for schema in one.schemas] == [["name", "description", "parameters"]] * 2


def made(parameters: dict[str, object], run: Callable[[Mapping[str, object]], object] = dict) -> Tool:
    return Tool(name="t", description="", parameters=parameters, run=run)


def test_bad_tool_boxes_are_refused() -> None:
    with pytest.raises(InputError, match="two tools are named 'add'"):
        ToolBox([add, add])
    with pytest.raises(InputError, match="not a JSON schema"):
        ToolBox([made({"type": "thing"})])


def test_schemas_are_never_fetched() -> None:
    """A schema from a server must not make us open its addresses."""
    started = time.monotonic()
    result = ToolBox([made({"$ref": "http://192.0.2.1/schema.json"})]).call(ToolCall(id="", name="t", arguments={}))
    assert "refers to" in result.text
    assert result.is_error
    assert time.monotonic() - started < 5.0  # no connection was tried: that address would hang for a minute
