"""A model's calls, run: checked, limited in time and size, and never fatal.

What goes wrong is told to the model in words, not raised at the user. Start at ToolBox.
"""

import asyncio
import contextvars
import copy
import inspect
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, is_dataclass

from mambino.chat.messages import ToolCall
from mambino.chat.schema_check import SchemaCheck
from mambino.chat.tools import Tool, tool
from mambino.errors import InputError, ToolError

TIMEOUT_S = 30.0
MAX_RESULT_CHARS = 16_000
MAX_REPEATS = 2  # of the same call, after the first
MAX_PARALLEL = 8
_MAX_ERROR_CHARS = 500
_CANCEL_S = 0.25  # for a coroutine to take its cancellation

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What the model is told. is_repeat: the call was made too often, and was not run again; asking on is no use."""

    text: str
    is_error: bool
    elapsed_s: float
    is_repeat: bool = False


class ToolBox:
    """Tools by name. Calls may run at the same time; tools share nothing that this class knows of."""

    def __init__(
        self,
        tools: Sequence[Tool | Callable[..., object]] = (),
        *,
        timeout_s: float = TIMEOUT_S,
        max_result_chars: int = MAX_RESULT_CHARS,
        max_repeats: int = MAX_REPEATS,
    ) -> None:
        """Functions become tools. Raises InputError for two of a name, or a schema that is none."""
        made = [item if isinstance(item, Tool) else tool(item) for item in tools]
        self._tools = {item.name: item for item in sorted(made, key=lambda item: item.name)}
        if len(self._tools) < len(made):
            names = [item.name for item in made]
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"[tools] two tools are named {twice!r}; rename one")
        self._checks = {item.name: SchemaCheck(item.parameters, where=item.name) for item in made}
        self._timeout_s = timeout_s
        self._max_result_chars = max_result_chars
        self._max_repeats = max_repeats
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def schemas(self) -> tuple[Mapping[str, object], ...]:
        """By name, whatever the order they were given in: equal tools make equal prompts."""
        return tuple(item.schema for item in self._tools.values())

    @property
    def asking(self) -> frozenset[str]:
        """Names of the tools whose calls a person should agree to."""
        return frozenset(name for name, item in self._tools.items() if item.asks_first)

    def for_turn(self) -> "ToolBox":
        """The same tools, with the count of repeated calls at zero: take one for every question of the user."""
        fresh = copy.copy(self)
        fresh._calls, fresh._lock = Counter(), threading.Lock()
        return fresh

    def call(self, call: ToolCall) -> ToolResult:
        """Run one call. Never raises: what goes wrong is the result's text. Safe from several threads."""
        started = time.perf_counter()
        try:
            if self._is_repeated(call):
                text = (
                    f"{call.name} was called {self._max_repeats + 1} times with the same arguments; it was not run "
                    "again. Use the results you have, or answer without."
                )
                return ToolResult(text=text, is_error=True, elapsed_s=time.perf_counter() - started, is_repeat=True)
            text, is_error = self._run(call), False
        except ToolError as error:
            text, is_error = f"Error: {error}", True
        return ToolResult(text=self._cut(text), is_error=is_error, elapsed_s=time.perf_counter() - started)

    def call_all(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """Run calls at the same time; results in their order."""
        if len(calls) < 2:
            return [self.call(call) for call in calls]
        with ThreadPoolExecutor(min(len(calls), MAX_PARALLEL)) as pool:
            return list(pool.map(self.call, calls))

    def _is_repeated(self, call: ToolCall) -> bool:
        key = json.dumps([call.name, dict(call.arguments)], sort_keys=True, default=str)
        with self._lock:
            self._calls[key] += 1
            return self._calls[key] > self._max_repeats + 1

    def _run(self, call: ToolCall) -> str:
        """Raises ToolError, with words for the model."""
        found = self._tools.get(call.name)
        if found is None:
            raise ToolError(f"no tool is named {call.name!r}; there are: {', '.join(self._tools) or 'none'}")
        arguments = _without_nulls(call.arguments, found.parameters)
        problems = self._checks[found.name].problems(arguments)
        if problems:
            raise ToolError(f"wrong arguments of {found.name}: {'; '.join(problems)}; correct them and call again")
        timeout_s = self._timeout_s if found.timeout_s is None else found.timeout_s
        try:
            return _text_of(_limited(found, arguments, timeout_s))
        except _TooSlowError as error:
            raise ToolError(f"{found.name} took longer than {timeout_s:g} s and was given up") from error
        except ToolError:
            raise
        except Exception as error:  # whatever a tool raises is an answer for the model, not an error of the chat
            _log.info("tool %s failed", found.name, exc_info=True)
            raise ToolError(f"{found.name} failed: {type(error).__name__}: {str(error)[:_MAX_ERROR_CHARS]}") from error

    def _cut(self, text: str) -> str:
        text = text.encode("utf-8", errors="replace").decode("utf-8")  # half characters have no tokens
        limit = self._max_result_chars
        if len(text) <= limit:
            return text
        tail = limit // 4
        return f"{text[: limit - tail]}\n[... {len(text) - limit} characters left out ...]\n{text[-tail:]}"


def _without_nulls(arguments: Mapping[str, object], parameters: Mapping[str, object]) -> dict[str, object]:
    """Optional arguments that are null, and may not be, were meant to be left out."""
    properties, required = parameters.get("properties"), parameters.get("required")

    def is_left_out(key: str, value: object) -> bool:
        schema = properties.get(key) if isinstance(properties, Mapping) else None
        is_required = isinstance(required, Sequence) and key in required
        has_type = isinstance(schema, Mapping) and isinstance(schema.get("type"), str) and schema["type"] != "null"
        return value is None and has_type and not is_required

    return {key: value for key, value in arguments.items() if not is_left_out(key, value)}


class _TooSlowError(Exception):
    """A tool did not come back in time."""


def _limited(found: Tool, arguments: Mapping[str, object], timeout_s: float) -> object:
    """The result of the tool, run in a thread of its own: threads cannot be ended, but they can be left behind.

    Raises     _TooSlowError, or whatever the tool raises
    """
    results: list[object] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            result = found.run(arguments)
            results.append(asyncio.run(_awaited(result, timeout_s)) if inspect.iscoroutine(result) else result)
        except BaseException as error:  # told to the thread that waits
            errors.append(error)

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), daemon=True, name=f"tool {found.name}")
    thread.start()
    thread.join(timeout_s + _CANCEL_S)
    if errors:
        raise errors[0] if isinstance(errors[0], Exception) else ToolError(f"{found.name} ended: {errors[0]!r}")
    if not results:
        raise _TooSlowError
    return results[0]


async def _awaited(pending: Coroutine[object, object, object], timeout_s: float) -> object:
    """Raises _TooSlowError; the coroutine is cancelled then."""
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit:
            return await pending
    except TimeoutError:
        if limit.expired():
            raise _TooSlowError from None
        raise


def _text_of(result: object) -> str:
    if isinstance(result, str):
        return result
    if result is None:
        return "done"
    plain = asdict(result) if is_dataclass(result) and not isinstance(result, type) else result
    return json.dumps(plain, ensure_ascii=False, default=str)
