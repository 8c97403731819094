"""A chat: the right history, the right ids, and no token fed twice where it can be helped."""

from collections.abc import Iterator

import pytest

from mambino.chat.events import ChatEvent, TextPart
from mambino.chat.messages import Message
from mambino.chat.session import Chat
from mambino.errors import ContextFull, InputError, TemplateError
from mambino.generation.params import SamplingParams
from mambino.generation.prefix_cache import SnapshotTree
from tiny_chat import ReplyLM, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
GREEDY = SamplingParams(temperature=0.0)
SYSTEM = "You are a test. " * 20


def chat_of(*replies: str | list[int], max_tokens: int = 4096, **options: object) -> tuple[Chat, ReplyLM]:
    model = ReplyLM(TOKENIZER, replies)
    return Chat(model, TOKENIZER, max_tokens=max_tokens, params=GREEDY, **options), model  # type: ignore[arg-type]


def say(chat: Chat, text: str) -> str:
    return content(chat.reply(text))


def content(parts: Iterator[ChatEvent]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextPart) and part.kind == "content")


def fed(model: ReplyLM) -> int:
    """Tokens absorbed since the last call."""
    total = sum(model.calls)
    model.calls.clear()
    return total


def absorbed(chat: Chat) -> list[int]:
    (slot,) = chat.answerer._slots.idle()
    assert list(slot.state.absorbed) == slot.ids  # type: ignore[attr-defined]
    return slot.ids


def assert_true_to_the_template(chat: Chat) -> None:
    """What the state holds is what the template makes of the messages, up to the end of the last answer."""
    text = chat.prompt.render(chat.messages, add_generation_prompt=False, enable_thinking=chat.thinking)
    expected = TOKENIZER.encode(text, parse_special=True)
    assert expected[: len(absorbed(chat))] == absorbed(chat)
    assert len(expected) - len(absorbed(chat)) == len(TOKENIZER.encode("<|im_end|>\n", parse_special=True))


def test_answers_join_the_history() -> None:
    chat, _ = chat_of("hello", "the end", system="S")
    assert say(chat, "hi") == "hello"
    assert say(chat, "and?") == "the end"
    assert [(message.role, message.content) for message in chat.messages] == [
        ("system", "S"),
        ("user", "hi"),
        ("assistant", "hello"),
        ("user", "and?"),
        ("assistant", "the end"),
    ]
    assert chat.last_turn is not None
    assert chat.last_turn.finish_reason == "stop"
    assert_true_to_the_template(chat)


def test_a_turn_feeds_only_what_is_new() -> None:
    chat, model = chat_of("hello", "the", system=SYSTEM)
    say(chat, "hi")
    first = fed(model)
    say(chat, "more")
    second = fed(model)
    new = "<|im_end|>\n<|im_start|>user\nmore<|im_end|>\n<|im_start|>assistant\n"
    assert second == len(TOKENIZER.encode(new, parse_special=True)) + 1  # and the answer, all but its end token
    assert second < first / 5
    assert chat.last_turn is not None
    assert chat.last_turn.reused_tokens + second - 1 == chat.last_turn.prompt_tokens


def test_generated_ids_are_kept_and_not_encoded_again() -> None:
    letters = TOKENIZER.encode("h") + TOKENIZER.encode("e") + TOKENIZER.encode("llo")
    assert TOKENIZER.encode("hello") != letters
    chat, _ = chat_of(letters, "the")
    assert say(chat, "hi") == "hello"
    say(chat, "more")
    start = len(TOKENIZER.encode("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", parse_special=True))
    assert absorbed(chat)[start : start + len(letters)] == letters


def test_dropped_thinking_replays_from_the_end_of_the_question() -> None:
    thought = " ".join(f"{number} and {number}" for number in range(40))
    chat, model = chat_of(f"{thought}</think>\nfour", "the", system=SYSTEM, thinking=True)
    assert say(chat, "2+2?") == "four"
    assert chat.messages[-1].reasoning == thought
    fed(model)
    say(chat, "more")
    replayed = (
        "<|im_start|>assistant\nfour<|im_end|>\n<|im_start|>user\nmore<|im_end|>\n<|im_start|>assistant\n<think>\n"
    )
    assert fed(model) == len(TOKENIZER.encode(replayed, parse_special=True)) + 1
    assert "7 and 7" not in TOKENIZER.decode(absorbed(chat))


def test_reasoning_is_told_apart_and_counted() -> None:
    chat, _ = chat_of("hmm</think>\nfour", thinking=True)
    parts = list(chat.reply("2+2?"))
    assert [part.kind for part in parts if isinstance(part, TextPart)] == ["reasoning"] * 3 + ["content"] * 4
    assert chat.last_turn is not None
    assert chat.last_turn.reasoning_tokens == 4  # its closing tag too
    assert len(chat.last_turn.tokens) == 10


def test_regenerate_feeds_the_generation_prompt_alone() -> None:
    chat, model = chat_of("hello", "the", system=SYSTEM)
    say(chat, "hi " * 50)
    fed(model)
    assert content(chat.regenerate()) == "the"
    assert fed(model) == len(TOKENIZER.encode("<|im_start|>assistant\n", parse_special=True)) + 1
    assert len(chat.messages) == 3
    assert_true_to_the_template(chat)


def test_undo_goes_back_to_before_the_question() -> None:
    chat, model = chat_of("hello", "the", "hell", system=SYSTEM)
    say(chat, "one")
    say(chat, "two")
    undone = chat.undo()
    assert undone is not None
    assert undone.content == "two"
    fed(model)
    say(chat, "three")
    assert fed(model) < 40
    assert_true_to_the_template(chat)


def test_clear_keeps_the_system_message_and_its_state() -> None:
    chat, model = chat_of("hello", "the", system=SYSTEM)
    say(chat, "hi " * 100)
    chat.clear()
    assert [message.role for message in chat.messages] == ["system"]
    fed(model)
    say(chat, "again")
    assert fed(model) < 40
    assert_true_to_the_template(chat)


def test_a_new_system_message_starts_over() -> None:
    chat, _ = chat_of("hello", "the", system="one")
    say(chat, "hi")
    chat.set_system("two")
    say(chat, "again")
    assert chat.messages[0] == Message(role="system", content="two")
    assert_true_to_the_template(chat)
    chat.set_system(None)
    assert chat.system is None
    assert len(chat.messages) == 4


def test_stopping_an_answer_keeps_what_was_said() -> None:
    chat, _ = chat_of("hello and more", "the")
    said = []
    for part in chat.reply("hi"):
        assert isinstance(part, TextPart)
        said.append(part.text)
        chat.stop()
    assert chat.messages[-1] == Message(role="assistant", content="hello")
    assert chat.last_turn is not None
    assert chat.last_turn.finish_reason == "interrupted"
    say(chat, "go on")
    assert_true_to_the_template(chat)


def test_ctrl_c_inside_the_model_keeps_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    chat, model = chat_of("hello and more", "the")
    scripted = model._scripted

    def interrupted(ids: tuple[int, ...], vocab_size: int) -> object:
        if len(ids) == 29:
            raise KeyboardInterrupt
        return scripted(ids, vocab_size)

    monkeypatch.setattr(model, "_logits_after", interrupted)
    with pytest.raises(KeyboardInterrupt):
        say(chat, "hi")
    assert "hello and more".startswith(chat.messages[-1].content)
    assert chat.messages[-1].role == "assistant"
    monkeypatch.undo()
    say(chat, "go on")
    assert_true_to_the_template(chat)


def test_an_abandoned_answer_keeps_what_was_said() -> None:
    chat, _ = chat_of("hello and more", "the")
    answer = chat.reply("hi")
    next(answer)
    answer.close()
    assert chat.messages[-1] == Message(role="assistant", content="hello")
    say(chat, "go on")
    assert_true_to_the_template(chat)


def test_stopping_a_long_prompt_takes_the_question_back_and_keeps_the_work() -> None:
    chat, model = chat_of("hello", "the")
    question = "many words " * 150
    progress: list[tuple[int, int]] = []

    def stop_in_the_middle(done: int, total: int) -> None:
        progress.append((done, total))
        if done:
            chat.stop()

    assert list(chat.reply(question, on_prompt_progress=stop_in_the_middle)) == []
    assert chat.messages == []
    assert chat.last_turn is None
    assert progress[0][0] == 0
    assert 0 < progress[-1][0] < progress[-1][1]
    fed(model)
    assert say(chat, question) == "hello"
    assert fed(model) < progress[-1][1] - 400
    assert_true_to_the_template(chat)


def test_a_long_prompt_reports_its_progress() -> None:
    chat, _ = chat_of("hello")
    progress: list[tuple[int, int]] = []
    list(chat.reply("word " * 300, on_prompt_progress=lambda done, total: progress.append((done, total))))
    assert [done for done, _ in progress] == sorted(done for done, _ in progress)
    assert len({total for _, total in progress}) == 1
    assert progress[0][0] == 0
    assert progress[-1][0] == progress[-1][1]
    assert len(progress) >= 3


def test_a_question_that_does_not_fit_is_taken_back_and_the_chat_goes_on() -> None:
    chat, _ = chat_of("hello", "the", max_tokens=100)
    say(chat, "hi")
    with pytest.raises(ContextFull, match="100 fit with the answer"):
        say(chat, "long " * 60)
    assert [message.role for message in chat.messages] == ["user", "assistant"]
    assert say(chat, "ok") == "the"
    assert_true_to_the_template(chat)


def test_an_answer_ends_where_the_context_does() -> None:
    chat, _ = chat_of("hello " * 50, max_tokens=60)
    say(chat, "hi")
    assert chat.last_turn is not None
    assert chat.last_turn.finish_reason == "context"
    assert len(absorbed(chat)) == chat.max_tokens == 60
    assert chat.used_tokens == 61  # the last token was chosen, and had no room


def test_a_refused_question_is_taken_back() -> None:
    model = ReplyLM(TOKENIZER, ["hello"])
    refusing = "{{ raise_exception('no') if messages[-1].content == 'bad' }}{{ messages[-1].content }}"
    chat = Chat(model, TOKENIZER, max_tokens=100, params=GREEDY, template=refusing)
    with pytest.raises(TemplateError, match="no"):
        say(chat, "bad")
    assert chat.messages == []


def test_typed_control_tokens_stay_text_and_do_not_break_reuse() -> None:
    chat, model = chat_of("hello", "the", system=SYSTEM)
    say(chat, "what is <|im_end|>?")
    assert absorbed(chat).count(TOKENIZER.special_tokens["<|im_end|>"]) == 2
    fed(model)
    say(chat, "more")
    assert fed(model) < 40


def test_nothing_to_regenerate_is_an_error() -> None:
    chat, _ = chat_of("hello")
    with pytest.raises(InputError, match="no question"):
        list(chat.regenerate())


def test_a_failed_regenerate_keeps_the_old_answer() -> None:
    chat, _ = chat_of("hello", "the")
    say(chat, "hi")

    def stop(done: int, total: int) -> None:
        chat.stop()

    assert list(chat.regenerate(on_prompt_progress=stop)) == []
    assert [message.content for message in chat.messages] == ["hi", "hello"]


def test_snapshots_stay_under_the_cap_of_the_cache() -> None:
    model = ReplyLM(TOKENIZER, ["hello"])
    cache = SnapshotTree(60_000)
    chat = Chat(
        model,
        TOKENIZER,
        max_tokens=4096,
        params=GREEDY,
        system="S",
        cache=cache,
    )
    sizes = []
    for index in range(12):
        say(chat, f"question {index}")
        sizes.append(cache.nbytes)
    assert max(sizes) <= 60_000
    assert len(cache) > 1
