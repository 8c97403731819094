"""The assistant's lessons: what the template writes is read back, rows are sound, and held-out rows are held out."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, replace
from pathlib import Path

import pytest
from recipes.bundled.assistant.asking import POLITE
from recipes.bundled.assistant.desk_phrasings import PHRASINGS
from recipes.bundled.assistant.device_kinds import device_kind
from recipes.bundled.assistant.everyday import EVERYDAY
from recipes.bundled.assistant.home_questions import QUESTIONS
from recipes.bundled.assistant.home_rows import ALL_LIGHTS
from recipes.bundled.assistant.lexicon import LEXICONS, made_up
from recipes.bundled.assistant.relations import NAME, RELATIONS, TRAITS
from recipes.bundled.assistant.row import Calls, Row, Split
from recipes.bundled.assistant.rows import SHARES, rows
from recipes.bundled.assistant.rule_phrasings import PHRASINGS as RULES
from recipes.bundled.assistant.template import TEMPLATE
from recipes.bundled.assistant.tool_kinds import TOOL_KINDS
from recipes.bundled.assistant.topics import TASKS
from recipes.bundled.assistant.verdict import judge

from chat_events import joined
from mambino.chat.builtin_tools.home import SimulatedHome, home_tools
from mambino.chat.messages import Message, ToolCall
from mambino.chat.prompt import PromptEncoder
from mambino.chat.stream import AnswerParser
from mambino.chat.template import ChatTemplate
from mambino.chat.thinking import ThinkingTags, thinking_tags_of
from mambino.chat.wire.detect import wire_format_of
from mambino.chat.wire.nemotron import NEMOTRON
from mambino.load import open_tokenizer
from mambino.posttrain.rows import read_rows
from mambino.posttrain.spans import sequences
from mambino.worlds.home import new_home

MAX_TOKENS = 900  # of a row: the model's context is 1024, and its answers differ in length from the experts'
_CALL = ToolCall(id="c", name="set_light", arguments={"room": "kitchen", "level": 50})
_LEFT_OVER = re.compile(r"[{}|]|\[[a-z]+ |a\(n\)|\.\.|[.?!]\?")


@pytest.fixture(scope="module")
def drawn() -> dict[str, list[Row]]:
    pytest.importorskip("if_verifiable")
    return {"train": list(rows(70, seed=1, split="train")), "held_out": list(rows(70, seed=1, split="held_out"))}


def _texts(drawn: list[Row], *roles: str) -> Iterator[str]:
    return (message.content for row in drawn for message in row.messages if message.role in roles)


def test_mambino_knows_the_templates_calls_and_its_thinking() -> None:
    template = ChatTemplate(TEMPLATE)
    assert wire_format_of(TEMPLATE) is NEMOTRON
    assert template.has_thinking_switch
    assert thinking_tags_of(template) == ThinkingTags(before_close="\n", after_close="\n")


def test_tools_are_listed_in_a_line_each() -> None:
    schemas = [tool.schema for tool in home_tools(SimulatedHome(new_home(0)))]
    schemas.append({"name": "mix", "parameters": {"properties": {"how": {"enum": ["a", "b"]}}}})
    text = ChatTemplate(TEMPLATE).render([Message(role="system", content="S")], tools=schemas)
    assert text.startswith("<|im_start|>system\nS\n\nTools:\n- home_status() Tell the state of the home")
    assert "\n- set_light(room: string, level: integer) Set the light of a room.\n" in text
    assert "\n- mix(how?: a|b)<|im_end|>\n" in text


@pytest.mark.parametrize(
    ("thinking", "opening"), [(True, "<think>\n"), (False, "<think></think>"), (None, "<think></think>")]
)
def test_the_switch_opens_the_answer(thinking: bool | None, opening: str) -> None:
    asked = [Message(role="user", content="Q")]
    text = ChatTemplate(TEMPLATE).render(asked, enable_thinking=thinking)
    assert text == f"<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n{opening}"


def test_old_reasoning_is_dropped_and_results_share_a_turn() -> None:
    conversation = [
        Message(role="user", content="Q1"), Message(role="assistant", content="A1", reasoning="OLD"),
        Message(role="user", content="Q2"),
        Message(role="assistant", content="", reasoning="NEW", tool_calls=(_CALL, _CALL)),
        Message(role="tool", content="R1"), Message(role="tool", content="R2"),
    ]  # fmt: skip
    text = ChatTemplate(TEMPLATE).render(conversation, add_generation_prompt=False)
    assert "OLD" not in text
    assert "<think></think>A1<|im_end|>" in text
    assert "<think>\nNEW\n</think>\n<tool_call>\n<function=set_light>\n<parameter=room>\nkitchen\n</parameter>" in text
    results = "<tool_response>\nR1\n</tool_response>\n<tool_response>\nR2\n</tool_response>"
    assert text.endswith(f"</tool_call><|im_end|>\n<|im_start|>user\n{results}<|im_end|>\n")


def test_every_rendered_answer_is_read_back(drawn: dict[str, list[Row]]) -> None:
    template = ChatTemplate(TEMPLATE)
    for row in drawn["train"]:
        *before, answer = row.messages
        asked = template.render(before, tools=row.tools, enable_thinking=row.thinks)
        whole = template.render(row.messages, tools=row.tools, add_generation_prompt=False)
        assert whole.startswith(asked)
        parser = AnswerParser(wire=NEMOTRON, tools=row.tools, starts_inside_thinking=row.thinks)
        said = whole.removeprefix(asked).removesuffix("<|im_end|>\n")
        read = joined([*parser.feed(said), *parser.finish()])
        assert read["reasoning"].strip() == (answer.reasoning or "")
        assert read["content"].strip() == answer.content
        assert read["calls"] == [(call.name, call.arguments, ()) for call in answer.tool_calls]


def test_equal_seeds_give_equal_rows(drawn: dict[str, list[Row]]) -> None:
    assert list(rows(20, seed=4, split="train")) == list(rows(20, seed=4, split="train"))
    assert list(rows(20, seed=5, split="train")) != drawn["train"][:20]


def test_every_kind_comes_up_with_its_share(drawn: dict[str, list[Row]]) -> None:
    assert sum(SHARES.values()) == pytest.approx(1.0)
    counts = Counter(row.kind for both in drawn.values() for row in both)
    assert counts.keys() == SHARES.keys()


def test_shares_choose_the_kinds() -> None:
    assert {row.kind for row in rows(20, seed=0, split="train", shares={"call": 1, "persona": 3})} == {
        "call",
        "persona",
    }


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_drills_ask_often_and_never_think(split: Split) -> None:
    for row in rows(12, seed=2, split=split, shares={"drill": 1, "home_drill": 1, "fact_drill": 1}):
        answers = [message for message in row.messages if message.role == "assistant"]
        assert len(answers) >= 4
        assert all(answer.reasoning is None for answer in answers)
        assert judge(row, answers[-1]).value == 1


def test_about_half_of_the_rows_think(drawn: dict[str, list[Row]]) -> None:
    share = sum(row.thinks for row in drawn["train"]) / len(drawn["train"])
    assert 0.25 < share < 0.62  # small talk and games think less; 70 rows: over two standard deviations


def test_supervised_training_takes_every_row_whole(drawn: dict[str, list[Row]], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row.to_json()) + "\n" for row in drawn["train"]))
    read = read_rows(path)
    assert not read.faults
    prompt = PromptEncoder(open_tokenizer(), TEMPLATE)
    lengths = [len(one.tokens) for row in read.rows for one in sequences(row, prompt)]
    assert len(read.rows) == len(drawn["train"])
    assert max(lengths) < MAX_TOKENS


def test_no_notation_shows_through(drawn: dict[str, list[Row]]) -> None:
    for split in drawn.values():
        spoken = [row for row in split if row.kind not in ("game", "instruction", "standing", "structured", "chat")]
        faulty = [text for text in _texts(spoken, "user", "assistant", "system") if _LEFT_OVER.search(text)]
        assert not faulty


def test_nothing_held_out_is_trained() -> None:
    for name, (train, held_out) in zip(
        LEXICONS["train"].__dataclass_fields__, zip(*map(astuple, LEXICONS.values()), strict=True), strict=True
    ):
        assert not set(train) & set(held_out), name
        assert not set(EVERYDAY) & {word.lower() for held in held_out for word in held.split()}, name
    rng = random.Random(0)
    devices = [device_kind(rng, "held_out", "robot") for _ in range(60)]
    for kinds in (TOOL_KINDS, *([device] for device in devices)):
        forms = [form for kind in kinds for form in kind.forms]
        assert not _said_by([text for form in forms for text in form.train],
                            [text for form in forms for text in form.held_out])  # fmt: skip
    for relation in (*RELATIONS, NAME, *TRAITS):
        assert not _said_by([relation.train], [relation.held_out]), relation.topic
    for name, question in QUESTIONS.items():
        assert not _said_by([question["train"]], [question["held_out"]]), name
    for name, rule in RULES.items():
        assert not _said_by(rule.train, [rule.held_out]), name
    for phrasings in (*PHRASINGS, ALL_LIGHTS, POLITE, TASKS):
        assert not _said_by(phrasings["train"], phrasings["held_out"])


def _said_by(train: Sequence[str], held_out: Sequence[str]) -> set[str]:
    """What templates of held_out say that one of train says too, spaces aside."""
    patterns = [re.compile(re.sub(r"(\\ )+", r"\\s*", _pattern(template))) for template in train]
    said = {text for template in held_out for text in _expanded(template)}
    return {text for text in said if any(pattern.fullmatch(text) for pattern in patterns)}


def _pattern(template: str) -> str:
    """A regular expression of all that it says."""
    signs = {"[": "(?:", "]": ")", "|": "|"}
    return "".join(signs.get(sign) or re.escape(sign) for sign in template)


def _expanded(template: str) -> list[str]:
    choice = re.search(r"\[([^\[\]]*)\]", template)
    if choice is None:
        return [re.sub(" {2,}", " ", template).strip()]
    return [
        text
        for branch in choice[1].split("|")
        for text in _expanded(template[: choice.start()] + branch + template[choice.end() :])
    ]


def test_made_up_words_fall_into_one_half() -> None:
    rng = random.Random(0)
    train, held_out = ({made_up(rng, split) for _ in range(4000)} for split in ("train", "held_out"))
    assert len(train) > 3000
    assert not train & held_out


def test_calls_name_only_what_the_prompt_holds(drawn: dict[str, list[Row]]) -> None:
    for row in (*drawn["train"], *drawn["held_out"]):
        if not isinstance(row.check, Calls):
            continue
        prompt = " ".join(message.content for message in row.messages[:-1])
        for call in row.check.calls:
            words = [word for value in call.arguments.values() for word in re.findall(r"\w+", str(value))]
            copied = [
                word for word in words if word not in ("True", "False", "0", "100")
            ]  # said by "lock", "off", "on"
            assert all(word in prompt for word in copied), (call, prompt)


def test_a_row_says_whether_it_thinks() -> None:
    row = next(rows(1, seed=0, split="train"))
    answer = replace(row.messages[-1], reasoning="Because.")
    assert replace(row, messages=(*row.messages[:-1], answer)).thinks
    assert not replace(row, messages=(*row.messages[:-1], replace(answer, reasoning=None))).thinks
