"""A model's own chat template: messages to the text of a prompt, as Hugging Face renders it.

A template is code that came with a model: it runs in Jinja's immutable sandbox, under limits of time and size, and
sees plain JSON values only. Knows nothing of tokens. Start at ChatTemplate.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from types import MappingProxyType

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mambino.chat.messages import Message
from mambino.errors import InputError, TemplateError

MAX_RENDER_S = 5.0  # of the thread's processor time; a template takes milliseconds, only a hostile one seconds
MAX_RENDER_CHARS = 64 * 2**20

_deadline: ContextVar[float] = ContextVar("template_deadline")


class ChatTemplate:
    """One compiled template. Raises TemplateError if it does not parse."""

    def __init__(self, source: str, *, bos_token: str = "", eos_token: str = "") -> None:
        self.source = source
        self._tokens = {"bos_token": bos_token, "eos_token": eos_token}
        try:
            self._template = _Environment().from_string(source)
        except jinja2.TemplateError as error:
            line = f" (line {error.lineno})" if isinstance(error, jinja2.TemplateSyntaxError) else ""
            raise TemplateError(f"[template] the chat template does not parse{line}: {error}") from error
        except RecursionError as error:
            raise TemplateError("[template] the chat template does not parse: it is nested too deeply") from error

    @property
    def has_thinking_switch(self) -> bool:
        return "enable_thinking" in self.source

    def check_thinking(self, enable_thinking: bool | None) -> None:
        """Raises InputError if the template would ignore the switch, rather than do as it likes in silence."""
        if enable_thinking is None or self.has_thinking_switch:
            return
        if "/no_think" in self.source:
            raise InputError("[template] this model is switched by words: put /think or /no_think in the system text")
        if enable_thinking or "<think>" in self.source:
            raise InputError("[template] this model's chat template has no thinking switch")

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, object]] = (),
        add_generation_prompt: bool = True,
        enable_thinking: bool | None = None,
        now: datetime | None = None,
        variables: Mapping[str, object] = MappingProxyType({}),
    ) -> str:
        """The conversation as the text that the model was trained on.

        tools are JSON schemas of functions. enable_thinking None leaves the template's own default. now is what the
        template may print as the date (a session fixes it, so that its history stays stable). variables are further
        template arguments, as in Hugging Face's chat_template_kwargs; they must be JSON values.

        Raises     TemplateError if the template refuses the messages, fails, or exceeds its limits
        """
        moment = datetime.now() if now is None else now
        scope: dict[str, object] = {
            **self._tokens,
            **variables,
            "messages": [_template_message(message) for message in messages],
            "tools": [dict(tool) for tool in tools] or None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            "strftime_now": moment.strftime,
        }
        if enable_thinking is not None:
            scope["enable_thinking"] = enable_thinking
        reset = _deadline.set(time.thread_time() + MAX_RENDER_S)
        try:
            return _joined(self._template.generate(scope))
        except jinja2.TemplateError as error:
            raise TemplateError(f"[template] the chat template refuses these messages: {error}") from error
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            # A template is foreign code: whatever it trips over, the user needs to hear that it was the template.
            raise TemplateError(f"[template] the chat template failed: {type(error).__name__}: {error}") from error
        finally:
            _deadline.reset(reset)


def _template_message(message: Message) -> dict[str, object]:
    fields = message.to_json()
    if message.reasoning is not None:
        fields["thinking"] = message.reasoning  # the name that gpt-oss templates read; Hugging Face fills both
    return fields


def _joined(chunks: Iterable[str]) -> str:
    parts: list[str] = []
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_RENDER_CHARS:
            raise TemplateError(f"[template] the chat template wrote more than {MAX_RENDER_CHARS} characters; stopped")
        parts.append(chunk)
    return "".join(parts)


class _Environment(ImmutableSandboxedEnvironment):
    """Hugging Face's settings, plus a deadline that every loop turn checks."""

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationBlock, loopcontrols])
        self.filters["tojson"] = _tojson
        self.filters["_metered"] = _metered
        self.globals["raise_exception"] = _raise_exception
        # Jinja's own namespace() accepts names that the sandbox would refuse to read; refuse them on the way in too.
        self.globals["namespace"] = _Namespace

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in list(tree.find_all(nodes.For)):
            line = loop.iter.lineno
            loop.iter = nodes.Filter(loop.iter, "_metered", [], [], None, None, lineno=line, environment=self)
        return tree

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        """Refuse the one-line ways to make a value too large to hold: 'a' * 10**9, 9**9**9."""
        if _is_too_large(operator, left, right):
            raise jinja2.TemplateRuntimeError(f"operator {operator} on values this large is not allowed")
        return super().call_binop(context, operator, left, right)


def _is_too_large(operator: str, left: object, right: object) -> bool:
    if operator == "**":
        return isinstance(right, int) and right > 64
    sequence, other = (left, right) if isinstance(left, Sequence) else (right, left)
    if isinstance(sequence, Sequence) and isinstance(other, int):
        return len(sequence) * other > MAX_RENDER_CHARS
    return isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > 4096


class _Namespace(jinja2.utils.Namespace):
    def __setitem__(self, name: str, value: object) -> None:
        if name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"namespace attribute {name!r} may not begin with an underscore")
        super().__setitem__(name, value)


class _GenerationBlock(Extension):
    """{% generation %} marks what the assistant wrote, for training masks; rendering prints the body as it is."""

    tags = {"generation"}  # noqa: RUF012 (the type that Jinja declares)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller: Macro) -> str:
        return str(caller())


def _metered(values: Iterable[object]) -> Iterator[object]:
    deadline = _deadline.get()
    for value in values:
        if time.thread_time() > deadline:
            raise jinja2.TemplateRuntimeError(f"it ran for more than {MAX_RENDER_S:.0f} s")
        yield value


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Plain JSON: no HTML escaping, no \\u escapes, keys in the given order."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)
