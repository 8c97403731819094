"""Answers from what was absorbed before: shared, stored, settled, explained; and never another text for it."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from fake_lm import FakeLM
from mambino.chat.answer import Answer
from mambino.chat.answering import Answerer
from mambino.chat.messages import Message
from mambino.chat.request import AnswerRequest
from mambino.errors import ContextFull, InputError
from mambino.generation.params import SamplingParams
from mambino.generation.prefix_cache import SnapshotTree
from mambino.generation.state_store import StateStore
from tiny_chat import ReplyLM, tiny_chat_config, tiny_tokenizer
from tiny_models import tiny_adapter

TOKENIZER = tiny_tokenizer()
SYSTEM = Message(role="system", content="You are a test. " * 20)


def user(text: str) -> Message:
    return Message(role="user", content=text)


def request(*messages: Message, thinking: bool | None = None, max_tokens: int = 40) -> AnswerRequest:
    params = SamplingParams(temperature=0.0, max_tokens=max_tokens)
    return AnswerRequest(messages=messages, params=params, thinking=thinking)


def noise_answerer(slots: int = 1, cache_nbytes: int = 10**9) -> Answerer:
    model = FakeLM(tiny_chat_config(TOKENIZER))
    return Answerer(model, TOKENIZER, context=2000, slots=slots, cache=SnapshotTree(cache_nbytes))


def run(answer: Answer) -> Answer:
    with answer:
        for _ in answer:
            pass
    return answer


def ids(answer: Answer) -> list[int]:
    return [event.id for event in answer.turn.tokens]


def test_the_same_tokens_alone_from_a_snapshot_and_with_no_memory() -> None:
    asked = request(SYSTEM, user("hi"))
    alone = ids(run(noise_answerer().answer(asked)))
    shared = noise_answerer()
    run(shared.answer(request(SYSTEM, user("something else"))))
    again = run(shared.answer(asked))
    assert again.turn.reused_tokens > 100
    assert ids(again) == alone
    assert ids(run(noise_answerer(cache_nbytes=0).answer(asked))) == alone


def test_slots_share_what_was_absorbed_and_no_more_than_all_of_them_answer() -> None:
    answerer = noise_answerer(slots=2)
    first = answerer.answer(request(SYSTEM, user("one")))
    next(first)
    second = answerer.answer(request(SYSTEM, user("two")))
    assert second.turn.reused_tokens > 100
    with pytest.raises(InputError, match="every slot"):
        answerer.answer(request(user("three")))
    expected = ids(run(noise_answerer().answer(request(SYSTEM, user("two")))))
    run(first)
    assert ids(run(second)) == expected
    run(answerer.answer(request(user("three"))))


def test_only_an_answer_alone_speculates() -> None:
    answerer = noise_answerer(slots=2)
    first = answerer.answer(request(user("one")))
    second = answerer.answer(request(user("two")))
    assert first._seat.speculation is not None
    assert second._seat.speculation is None
    first.close()
    second.close()


def test_an_answer_that_is_never_begun_gives_its_slot_back() -> None:
    answerer = noise_answerer()
    answerer.answer(request(user("one"))).close()
    run(answerer.answer(request(user("two"))))


def test_a_prompt_that_does_not_fit_leaves_the_slot_free() -> None:
    answerer = noise_answerer()
    with pytest.raises(ContextFull, match="2000 fit"):
        answerer.answer(request(user("long " * 1000)))
    run(answerer.answer(request(user("short"))))


def test_settled_history_leaves_only_the_new_message() -> None:
    model = ReplyLM(TOKENIZER, ["two and two</think>\nfour", "the"])
    answerer = Answerer(model, TOKENIZER, context=2000)
    asked = request(SYSTEM, user("2+2?"), thinking=True)
    message = run(answerer.answer(asked)).message
    assert message is not None
    answerer.settle(asked, message)
    model.calls.clear()
    following = run(answerer.answer(request(*asked.messages, message, user("more"), thinking=True)))
    new = TOKENIZER.encode("user\nmore<|im_end|>\n<|im_start|>assistant\n<think>\n", parse_special=True)
    assert following.turn.prompt_tokens - following.turn.reused_tokens == len(new)
    assert following.note == ""


def test_a_miss_is_explained() -> None:
    model = ReplyLM(TOKENIZER, ["two and two</think>\nfour", "the", "hello"])
    answerer = Answerer(model, TOKENIZER, context=2000)
    asked = request(SYSTEM, user("2+2?"), thinking=True)
    first = run(answerer.answer(asked))
    assert first.note == "nothing of this conversation is remembered"
    assert first.message is not None
    second = run(answerer.answer(request(*asked.messages, first.message, user("more"), thinking=True)))
    assert "the template dropped the thinking of turn 1" in second.note
    third = run(answerer.answer(request(SYSTEM, user("3+3?"), thinking=True)))
    assert "message 2 (user) is not what it was" in third.note


def test_settling_gives_way_to_an_answer() -> None:
    model = ReplyLM(TOKENIZER, ["x"])
    answerer = Answerer(model, TOKENIZER, context=9000)
    asked = request(SYSTEM, user("hi"), thinking=True, max_tokens=3)
    run(answerer.answer(asked))
    long = Message(role="assistant", content="words " * 1000)
    settling = threading.Thread(target=answerer.settle, args=(asked, long))
    settling.start()
    run(answerer.answer(request(user("quick"), max_tokens=3)))
    settling.join(timeout=20)
    assert not settling.is_alive()


def test_a_warm_system_prompt_survives_other_conversations_and_restarts(tmp_path: Path) -> None:
    model = FakeLM(tiny_chat_config(TOKENIZER))
    store = StateStore(tmp_path, model, "f" * 32)
    answerer = Answerer(model, TOKENIZER, context=2000, cache=SnapshotTree(400_000), store=store)
    answerer.warm(request(SYSTEM), on_disk=True)
    for number in range(20):
        run(answerer.answer(request(user(f"question {number} " * 10), max_tokens=5)))
    assert run(answerer.answer(request(SYSTEM, user("hi")))).turn.reused_tokens > 100
    later = Answerer(model, TOKENIZER, context=2000, store=StateStore(tmp_path, model, "f" * 32))
    restarted = run(later.answer(request(SYSTEM, user("hi"))))
    assert restarted.turn.reused_tokens > 100
    assert ids(restarted) == ids(run(noise_answerer().answer(request(SYSTEM, user("hi")))))


def test_where_conversations_stand_survives_a_restart(tmp_path: Path) -> None:
    model = ReplyLM(TOKENIZER, ["hello", "the"])
    asked = request(SYSTEM, user("hi"))
    answerer = Answerer(model, TOKENIZER, context=2000, store=StateStore(tmp_path, model, "f" * 32))
    message = run(answerer.answer(asked)).message
    assert message is not None
    answerer.persist()
    later = Answerer(model, TOKENIZER, context=2000, store=StateStore(tmp_path, model, "f" * 32))
    answer = run(later.answer(request(SYSTEM, user("hi"), message, user("more"))))
    new = TOKENIZER.encode("<|im_end|>\n<|im_start|>user\nmore<|im_end|>\n<|im_start|>assistant\n", parse_special=True)
    assert answer.turn.prompt_tokens - answer.turn.reused_tokens == len(new)


def test_ids_are_completed_without_a_template_and_gone_on_from() -> None:
    answerer = noise_answerer()
    prompt = TOKENIZER.encode("hello the")
    params = SamplingParams(temperature=0.0, max_tokens=6, seed=1)
    first = run(answerer.complete(prompt, params))
    following = run(answerer.complete([*prompt, *ids(first)], params))
    assert following.turn.reused_tokens == len(prompt) + 5
    fresh = run(noise_answerer().complete([*prompt, *ids(first)], params))
    assert ids(following) == ids(fresh)
    assert answerer.count_tokens(request(user("hi"))) > 3


TOOL = {"name": "add", "description": "Add one.", "parameters": {"type": "object", "properties": {"n": {}}}}
REWRITING = """{%- for m in messages -%}
<|im_start|>{{ m.role + '\n' }}
{%- if m.role == 'assistant' and m.reasoning_content and (loop.index0 > ns.last if ns else true) -%}
<think>{{ '\n' + m.reasoning_content + '\n' }}</think>{{ '\n' }}
{%- endif -%}
{{ m.content }}{% for call in m.tool_calls or [] %}
<tool_call>
<function={{ call.function.name }}>
{% for name, value in call.function.arguments.items() %}<parameter={{ name }}>
{{ value | string | title }}
</parameter>
{% endfor %}</function>
</tool_call>
{% endfor %}<|im_end|>{{ '\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant{{ '\n' }}{% if enable_thinking %}<think>{{ '\n' }}{% endif %}
{%- endif -%}{#- tools -#}"""


def test_a_call_that_the_template_rewrites_goes_on_as_it_was_said() -> None:
    tokenizer = tiny_tokenizer(REWRITING)
    written = (
        "add it</think>\n<tool_call>\n<function=add>\n<parameter=n>\ntrue\n</parameter>\n</function>\n</tool_call>"
    )
    model = ReplyLM(tokenizer, [written, "done</think>\nall done"])
    answerer = Answerer(model, tokenizer, context=4000)
    params = SamplingParams(temperature=0.0, max_tokens=200)
    asked = AnswerRequest(messages=(SYSTEM, user("go")), params=params, tools=(TOOL,), thinking=True)
    message = run(answerer.answer(asked)).message
    assert message is not None
    assert message.tool_calls
    told = Message(role="tool", content="2", tool_call_id=message.tool_calls[0].id)
    for returned in (message, replace(message, reasoning=None)):  # most clients drop the reasoning
        following = replace(asked, messages=(*asked.messages, returned, told))
        assert "\ntrue\n" in answerer.render(following)
        assert "\nTrue\n" not in answerer.render(following)
        with answerer.answer(following) as answer:
            new = "<|im_end|>\n<|im_start|>tool\n2<|im_end|>\n<|im_start|>assistant\n<think>\n"
            unread = answer.turn.prompt_tokens - answer.turn.reused_tokens
            assert unread == len(tokenizer.encode(new, parse_special=True))
    changed = replace(message, content="something else")
    assert "\nTrue\n" in answerer.render(replace(asked, messages=(*asked.messages, changed, told)))


ADAPTERS = (None, tiny_adapter(tiny_chat_config(TOKENIZER), 1), tiny_adapter(tiny_chat_config(TOKENIZER), 2))


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_what_one_adapter_read_is_never_used_under_another(slots: int) -> None:
    turns = [request(SYSTEM, user("hi")), request(SYSTEM, user("ho")), request(SYSTEM, user("hi"))]
    asked = [replace(turn, adapter=adapter) for turn in turns for adapter in ADAPTERS]
    alone = [ids(run(noise_answerer().answer(one))) for one in asked]
    assert len({tuple(said) for said in alone[:3]}) == 3
    shared = noise_answerer(slots)
    answers = [run(shared.answer(one)) for one in asked]
    assert [ids(one) for one in answers] == alone
    assert [one.turn.reused_tokens > 0 for one in answers] == 3 * [False] + 6 * [True]


def test_settling_counting_and_storing_keep_to_the_adapter(tmp_path: Path) -> None:
    model = FakeLM(tiny_chat_config(TOKENIZER))
    store = StateStore(tmp_path, model, "f" * 40)
    answerer = Answerer(model, TOKENIZER, context=2000, store=store)
    asked = replace(request(SYSTEM, user("hi")), adapter=ADAPTERS[1])
    answer = run(answerer.answer(asked))
    assert answer.message is not None
    model.calls.clear()
    answerer.settle(replace(asked, adapter=None), answer.message)
    assert not model.calls
    assert answerer.count_tokens(asked) == answerer.count_tokens(replace(asked, adapter=None))
    answerer.warm(replace(asked, messages=(SYSTEM,)), on_disk=True)
    later = Answerer(model, TOKENIZER, context=2000, store=store)
    reused = [run(later.answer(replace(asked, adapter=one))).turn.reused_tokens > 100 for one in ADAPTERS]
    assert reused == [False, True, False]


def test_a_completion_takes_an_adapter() -> None:
    params = SamplingParams(temperature=0.0, max_tokens=9)
    said = [ids(run(noise_answerer().complete([1, 2, 3], params, adapter=adapter))) for adapter in ADAPTERS]
    assert len({tuple(one) for one in said}) == 3
