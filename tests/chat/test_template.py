"""The template renderer: Hugging Face's output, and no way for a template to hang or fill the process."""

import json
import time
from datetime import datetime

import pytest

from mambino.chat.messages import Message
from mambino.chat.template import ChatTemplate
from mambino.errors import InputError, TemplateError

USER = (Message(role="user", content="Hi"),)


def test_blocks_are_trimmed_as_hugging_face_trims_them() -> None:
    template = ChatTemplate(
        "{% for m in messages %}\n    {% if true %}\n{{ m.role }}: {{ m.content }}\n    {% endif %}\n{% endfor %}"
    )
    assert template.render(USER) == "user: Hi\n"


def test_tojson_keeps_unicode_quotes_and_angle_brackets() -> None:
    tool = {"name": "f", "description": "<é> \"q\" 日本 'x' &"}
    rendered = ChatTemplate("{{ tools[0] | tojson }}").render(USER, tools=[tool])
    assert rendered == json.dumps(tool, ensure_ascii=False)


def test_tojson_takes_indent_and_separators() -> None:
    rendered = ChatTemplate("{{ {'b': 1, 'a': 2} | tojson(indent=1, sort_keys=true) }}").render(USER)
    assert rendered == '{\n "a": 2,\n "b": 1\n}'


def test_no_tools_are_none_so_that_templates_can_test_them() -> None:
    assert ChatTemplate("{{ tools is none }}").render(USER) == "True"


def test_raise_exception_becomes_a_template_error_with_its_words() -> None:
    with pytest.raises(TemplateError, match="roles must alternate"):
        ChatTemplate("{{ raise_exception('roles must alternate') }}").render(USER)


def test_a_syntax_error_names_its_line() -> None:
    with pytest.raises(TemplateError, match="line 2"):
        ChatTemplate("ok\n{% for %}")


def test_a_failing_expression_is_a_template_error() -> None:
    with pytest.raises(TemplateError, match="failed"):
        ChatTemplate("{{ 'a' + 1 }}").render(USER)
    with pytest.raises(TemplateError):
        ChatTemplate("{{ messages[0].missing.deeper }}").render(USER)


def test_the_date_is_the_one_that_was_given() -> None:
    rendered = ChatTemplate("{{ strftime_now('%d %b %Y') }}").render(USER, now=datetime(2026, 2, 3))
    assert rendered == "03 Feb 2026"


def test_thinking_is_left_undefined_unless_asked() -> None:
    template = ChatTemplate("{{ enable_thinking is defined }}{{ enable_thinking }}")
    assert template.render(USER) == "False"
    assert template.render(USER, enable_thinking=False) == "TrueFalse"


def test_a_thinking_switch_that_would_be_ignored_is_refused() -> None:
    ChatTemplate("{{ enable_thinking }}").check_thinking(True)
    ChatTemplate("plain").check_thinking(None)
    ChatTemplate("plain").check_thinking(False)  # it cannot think anyway
    for source, asked in (("plain", True), ("<think>", False)):
        with pytest.raises(InputError, match="no thinking switch"):
            ChatTemplate(source).check_thinking(asked)
    with pytest.raises(InputError, match="in the system text"):
        ChatTemplate("{{ 'x'.replace('/no_think', '') }}").check_thinking(False)


def test_template_arguments_are_passed_by_name() -> None:
    assert ChatTemplate("{{ effort }}").render(USER, variables={"effort": "low"}) == "low"


def test_generation_blocks_and_loop_controls_work() -> None:
    source = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% break %}{% endfor %}"
    assert ChatTemplate(source).render((*USER, *USER)) == "Hi"


def test_loop_variables_survive_the_meter() -> None:
    source = "{% for m in messages %}{{ loop.index0 }}/{{ loop.length }}{{ ',' if not loop.last }}{% endfor %}"
    assert ChatTemplate(source).render((*USER, *USER)) == "0/2,1/2"


def test_special_tokens_are_template_variables() -> None:
    assert ChatTemplate("{{ bos_token }}|{{ eos_token }}", bos_token="<s>", eos_token="</s>").render(USER) == "<s>|</s>"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ strftime_now.__self__.year }}",
        "{% set ns = namespace() %}{% set ns.__class__ = 1 %}",
        "{{ 'a' * 1000000000 }}",
        "{{ 9 ** 999999999 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ],
)
def test_hostile_templates_are_refused(source: str) -> None:
    with pytest.raises(TemplateError):
        ChatTemplate(source).render(USER)


def test_an_endless_silent_loop_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mambino.chat.template.MAX_RENDER_S", 0.05)
    nested = "{% for i in range(99999) %}" * 3 + "{% endfor %}" * 3
    started = time.monotonic()
    with pytest.raises(TemplateError, match="ran for more than"):
        ChatTemplate(nested).render(USER)
    assert time.monotonic() - started < 2.0


def test_endless_output_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mambino.chat.template.MAX_RENDER_CHARS", 1000)
    with pytest.raises(TemplateError, match="more than 1000 characters"):
        ChatTemplate("{% for i in range(2000) %}x{% endfor %}").render(USER)
