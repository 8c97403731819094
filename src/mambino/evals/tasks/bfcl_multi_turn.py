"""BFCL, multi-turn: requests one after another on simulated services, judged by their state and what they returned.

Questions, answers and services are those of the package bfcl-eval; the loop and the verdicts are ours, in a process
with a time limit. Start at load.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from mambino.chat.messages import Message, message_from_json
from mambino.errors import FormatError
from mambino.evals.data import Row, Source, SuiteOptions, read_rows
from mambino.evals.task import UNFINISHED, AnswerJson, Player, Reply, Sample, Share, Task, Verdict, first
from mambino.evals.tasks import only_part
from mambino.evals.tasks.bfcl import tool_schema
from mambino.scoring.limited import Call, Outcome, limited
from mambino.scoring.multi_turn import decoded_step, decoded_turns
from mambino.scoring.simulated_apis import FILES, package_folder, package_version

CATEGORIES = ("base", "miss_func", "miss_param", "long_context")
MAX_STEPS = 20  # answers with calls in one turn; one more ends the conversation
Services = Mapping[str, object]  # what open_apis takes
Perform = Callable[[Services, Sequence[str], Sequence[str]], Outcome]  # (services, calls before, calls) -> results
_ASK = (
    "Work with the functions below. Answer with calls only, in Python syntax with named arguments, as a list: "
    "[f(x=1), g(y='a')]. You are then told what they return, and may call again. Once all that was asked is done, or "
    "if no function fits or an argument is not known, say so in words. The functions:\n"
)


def load(options: SuiteOptions, part: str) -> Task:
    """Raises Unsupported without bfcl-eval; its data serve where options name no folder."""
    folder = package_folder() / "data"
    described = {name: _descriptions(folder, file) for name, file in FILES.items()}
    questions = options if options.folder else replace(options, folder=folder)
    samples = [
        sample
        for category in only_part("bfcl_multi_turn", part.removeprefix("multi_turn_"), CATEGORIES)
        for sample in _category(questions, category, described)
    ]
    defaults = import_module("bfcl_eval.constants.default_prompts")
    return Task(
        name=f"bfcl_multi_turn:{part}" if part else "bfcl_multi_turn",
        samples=tuple(samples),
        score=score,
        metrics=("accuracy", *(() if part else CATEGORIES)),
        attempt=partial(attempt, more_functions=defaults.DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_FC),
        version=f"bfcl-eval {package_version()}'s services, mambino's check of them",
    )


def _descriptions(folder: Path, file: str) -> tuple[Row, ...]:
    return tuple(read_rows(folder / "multi_turn_func_doc" / f"{file}.json"))


def _category(options: SuiteOptions, category: str, described: Mapping[str, Sequence[Row]]) -> tuple[Sample, ...]:
    files = [f"BFCL_{version}_multi_turn_{category}.json" for version in ("v4", "v3")]
    questions = options.rows("bfcl", Source(names=tuple(files)))
    answers = options.rows("bfcl", Source(names=tuple(f"possible_answer/{file}" for file in files)))
    expected = {str(row["id"]): row["ground_truth"] for row in answers}
    unanswered = [str(row["id"]) for row in questions if str(row["id"]) not in expected]
    if unanswered:
        raise FormatError(f"[bfcl] possible_answer/{files[0]} lacks {unanswered[0]}; take both files from one release")
    return first((_sample(row, category, expected[str(row["id"])], described) for row in questions), options.limit)


def _sample(row: Row, category: str, expected: object, described: Mapping[str, Sequence[Row]]) -> Sample:
    """Named by id alone: categories share their first requests."""
    classes = cast(Sequence[str], row["involved_classes"])
    functions = [function for name in classes for function in described.get(name, ())]
    withheld = cast(Mapping[str, Sequence[str]], row.get("missed_function", {}))
    hidden = {name for names in withheld.values() for name in names}
    return Sample(
        id=str(row["id"]),
        tools=tuple(tool_schema(function) for function in functions if function["name"] not in hidden),
        data={
            "category": category,
            "turns": row["question"],
            "later_tools": {
                turn: [tool_schema(function) for function in functions if function["name"] in names]
                for turn, names in withheld.items()
            },
            "services": {
                "classes": classes,
                "config": row.get("initial_config", {}),
                "long_context": category == "long_context",
            },
            "ground_truth": expected,
        },
    )


def _performed(services: Services, done: Sequence[str], calls: Sequence[str]) -> Outcome:
    return _limited("performed", services, {"done": done, "calls": calls})


def _limited(verifier: str, services: Services, arguments: Mapping[str, object]) -> Outcome:
    opening = Call(verifier="opened", arguments={"services": services})  # imports them
    return limited(verifier, {"services": services, **arguments}, loading=opening)


def attempt(sample: Sample, player: Player, *, more_functions: str, perform: Perform = _performed) -> AnswerJson:
    """One conversation. Its response is in the official form: turns of steps, a step being calls or the model's text.

    A turn of more than MAX_STEPS steps with calls, or a call that takes too long, ends it. more_functions is what the
    user says when functions that were missing are given.
    """
    talk = _Conversation(sample, player, perform)
    later = cast(Mapping[str, Sequence[Row]], sample.data["later_tools"])
    for number, said in enumerate(cast(Sequence[Sequence[object]], sample.data["turns"])):
        messages = [message_from_json(message) for message in said]
        if str(number) in later:
            messages = [talk.give_tools(later[str(number)], more_functions)]
        if not talk.take_turn(messages):
            break
    return talk.answer()


class _Conversation:
    """What was said and called so far.

    A model that knows no tools reads descriptions and results as text, and writes calls as Python text.
    """

    def __init__(self, sample: Sample, player: Player, perform: Perform) -> None:
        self._player = player
        self._perform = perform
        self._services = cast(Services, sample.data["services"])
        self._knows_tools = player.responder.knows_tools
        self._tools = list(sample.tools)
        self._messages: list[Message] = []
        self._replies: list[Reply] = []
        self._done: list[str] = []
        self._response: list[list[object]] = []
        self._ended = ""
        if not self._knows_tools:
            self._messages.append(Message(role="system", content=_ASK + json.dumps(self._tools)))

    def give_tools(self, tools: Sequence[Row], text: str) -> Message:
        """What the user says with them. Mutates self."""
        self._tools += tools
        return Message(role="user", content=text if self._knows_tools else f"{json.dumps(list(tools))}\n{text}")

    def take_turn(self, messages: Sequence[Message]) -> bool:
        """Whether the model came to an end of its calls. Mutates self."""
        self._messages += messages
        steps: list[object] = []
        self._response.append(steps)
        for _ in range(MAX_STEPS + 1):
            reply = self._player.ask(self._messages, tools=self._tools if self._knows_tools else ())
            self._replies.append(reply)
            self._messages.append(reply.message)
            step = self._step(reply.message)
            steps.append(step)
            calls = decoded_step(step)
            if not calls:
                return True
            outcome = self._perform(self._services, self._done, calls)
            if outcome.result is None:
                self._ended = outcome.reason
                return False
            self._done += calls
            self._messages += self._told(reply.message, calls, cast(Sequence[str], outcome.result))
        self._ended = f"more than {MAX_STEPS} steps with calls in one turn"
        return False

    def _step(self, message: Message) -> object:
        if not self._knows_tools:
            return message.content
        return [{call.name: dict(call.arguments)} for call in message.tool_calls]

    def _told(self, message: Message, calls: Sequence[str], results: Sequence[str]) -> list[Message]:
        if not self._knows_tools:
            text = "\n".join(f"{call} returned {result}" for call, result in zip(calls, results, strict=True))
            return [Message(role="user", content=text)]
        return [
            Message(role="tool", content=result, tool_call_id=call.id)
            for call, result in zip(message.tool_calls, results, strict=True)
        ]

    def answer(self) -> AnswerJson:
        """finish_reason is that of the first reply that was cut off, if any was."""
        cut = next((reply.finish_reason for reply in self._replies if reply.finish_reason in UNFINISHED), "stop")
        return {
            "response": self._response,
            "finish_reason": cut,
            **({"ended": self._ended} if self._ended else {}),
            "usage": {
                "prompt_tokens": sum(reply.prompt_tokens for reply in self._replies),
                "completion_tokens": sum(reply.completion_tokens for reply in self._replies),
            },
            "elapsed_s": round(sum(reply.elapsed_s for reply in self._replies), 4),
            "messages": [message.to_json() for message in self._messages],
        }


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    """Raises InputError for an answer that is no list of turns."""
    turns = decoded_turns(answer["response"])
    services = cast(Services, sample.data["services"])
    outcome = _limited("turns", services, {"turns": turns, "expected": sample.data["ground_truth"]})
    if outcome.result is None:
        return Verdict(unscored=(outcome.reason,))
    found = cast(Mapping[str, Any], outcome.result)
    share = Share(part=found["value"])
    return Verdict(
        shares={"accuracy": share, str(sample.data["category"]): share}, details={"evidence": found["evidence"]}
    )
