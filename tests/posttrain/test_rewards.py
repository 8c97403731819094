"""Environments judge what was done: rows of NeMo-Gym, tools by the final state, worlds by their score, budgets."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mambino.chat.messages import Message, ToolCall
from mambino.errors import InputError
from mambino.posttrain.rewards import Judge, game_tasks, gym_task, gym_tasks, home_tasks, with_budget
from mambino.posttrain.rollout import Attempt, Environment, Task, Trajectory, judged
from mambino.scoring.scored import right
from mambino.worlds.games import new_world
from mambino.worlds.home import new_goal, new_home
from tiny_chat import tiny_tokenizer

SCHEMA = json.dumps({"type": "object", "properties": {"name": {"type": "string"}}})
ASKED = {"responses_create_params": {"input": "Please."}}


def answered(task: Task, *answers: Message) -> Trajectory:
    none = np.zeros(0)
    return Trajectory(
        attempt=Attempt(task=task, is_thinking=None, seed=(0,)), tokens=none.astype(np.int32),
        is_sampled=none.astype(np.bool_), logprobs=none.astype(np.float32), answers=answers, finish="stop",
    )  # fmt: skip


def says(text: str, reasoning: str | None = None, calls: Sequence[ToolCall] = ()) -> Message:
    return Message(role="assistant", content=text, reasoning=reasoning, tool_calls=tuple(calls))


def value(task: Task, answer: Message, environment: Environment | None = None) -> float | None:
    return judged(answered(task, answer), environment or task.begin()).value


CALL = ToolCall(id="1", name="book", arguments={"room": "blue"})
EVENT = {"event_id": 0, "duration": 60, "constraint": "before 12pm", "min_time": "10:00", "max_time": "16:00"}


@pytest.mark.parametrize(
    ("row", "environment", "good", "bad"),
    [
        ({"schema_str": SCHEMA, "schema_type": "json"}, "structured_outputs", says('{"name": "x"}'), says("{}")),
        ({"schema_str": SCHEMA, "schema_type": "json", "tool_name": "book", "tool_payload_key": None},
         "structured_outputs", says("", None, [ToolCall(id="1", name="book", arguments={"name": "x"})]), says("x")),
        ({"expected_action": {"type": "function_call", "name": "book", "arguments": '{"room": "blue"}'}},
         "next_action", says("", None, [CALL]), says("Shall I?")),
        ({"expected_action": {"type": "message"}}, "next_action", says("Shall I?"), says("", None, [CALL])),
        ({"exp_cal_state": {"0": EVENT}}, "calendar",
         says('[{"event_id": 0, "start_time": "10am", "duration": 60}]'), says("[]")),
        ({"answer": "Paris"}, "abstention", says("Paris"), says("Rome")),
    ],
)  # fmt: skip
def test_a_gym_row_becomes_a_task_whose_verifier_its_fields_choose(
    row: dict[str, object], environment: str, good: Message, bad: Message
) -> None:
    task = gym_task("row", ASKED | row)
    assert (task.environment, task.messages[0].content) == (environment, "Please.")
    assert value(task, good) == 1.0
    assert value(task, bad) == 0.0


def test_the_published_example_rows_are_read(shared_dir: Path) -> None:
    folder = shared_dir / "data/evals/nemo_gym_examples"
    for name in ("abstention", "calendar", "structured_outputs", "instruction_following",
                 "single_step_tool_use_with_argument_comparison"):  # fmt: skip
        assert gym_tasks(folder / name / "data/example.jsonl"), name


def test_instructions_without_a_checker_are_unscored_not_wrong() -> None:
    pytest.importorskip("if_verifiable")
    row = ASKED | {"prompt": "Please.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    task = gym_task("row", row)
    assert value(task, says("No commas here.")) == 1.0
    assert value(task, says("One, two.")) == 0.0
    unknown = gym_task("row", row | {"instruction_id_list": ["no:such"]})
    assert value(unknown, says("x")) is None


def test_rows_that_cannot_be_judged_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no verifier here"):
        gym_task("row", ASKED | {"what": 1})
    (tmp_path / "rows.jsonl").write_text("{")
    with pytest.raises(InputError, match="line 1: not JSON"):
        gym_tasks(tmp_path / "rows.jsonl")


def test_the_home_is_judged_by_its_final_state() -> None:
    seed = next(seed for seed in range(99) if new_goal(new_home(seed), seed).text.count(",") == 0
                and new_goal(new_home(seed), seed).lights)  # fmt: skip
    (task,) = home_tasks([seed])
    ((room, level),) = new_goal(new_home(seed), seed).lights.items()
    environment = task.begin()
    words = says("Done!")
    assert value(task, words, environment) == 0.0
    call = ToolCall(id="7", name="set_light", arguments={"room": room, "level": level})
    (result,) = environment.reply(says("", None, [call]))
    assert (result.role, result.tool_call_id) == ("tool", "7")
    assert environment.reply(words) == ()
    assert value(task, words, environment) == 1.0
    assert value(task, words) == 0.0, "attempts share a home"


def test_a_game_is_played_by_the_last_line_and_rewarded_by_its_score() -> None:
    (task,) = game_tasks("puzzle", [3], max_turns=500)
    environment, expert = task.begin(), new_world("puzzle")
    seen = expert.reset(3)
    replies: Sequence[Message] = ()
    while not seen.is_done:
        action = expert.expert_action()
        seen = expert.step(action)
        replies = environment.reply(says(f"I think so.\n{action}"))
    assert replies == ()
    assert value(task, says(""), environment) == pytest.approx(seen.score / 100)
    assert seen.score > 50


def test_a_budget_is_told_and_rewarded_beside_the_answer() -> None:
    plain = Task(id="t", environment="e", messages=(Message(role="user", content="Q"),),
                 begin=lambda: Judge(lambda trajectory: right()))  # fmt: skip
    task = with_budget(plain, tiny_tokenizer(), 10)
    assert "at most 10 tokens" in task.messages[-1].content
    assert value(task, says("A", "short")) == 1.0
    assert value(task, says("A", "x" * 15)) == pytest.approx(0.75)
    assert value(task, says("A", "x" * 40)) == pytest.approx(0.5)


def test_a_verifier_that_raises_leaves_no_verdict() -> None:
    def broken(trajectory: Trajectory) -> None:
        raise KeyError("oops")

    scored = judged(answered(home_tasks([0])[0]), Judge(broken))  # type: ignore[arg-type]
    assert scored.value is None
    assert "oops" in scored.evidence
