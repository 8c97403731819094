"""BFCL v4, single turn: function calls compared with the possible answers; irrelevance: no call,
relevance: any. Start at load."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, cast

from mambino.chat.messages import Message, message_from_json
from mambino.errors import InputError
from mambino.evals.data import Row, Source, SuiteOptions
from mambino.evals.task import AnswerJson, Player, Sample, Share, Task, Verdict, answer_json, first
from mambino.evals.tasks import only_part
from mambino.scoring.call_forms import calls_of
from mambino.scoring.call_syntax import Call
from mambino.scoring.calls import Allowed, CallKind, match_calls
from mambino.scoring.scored import Scored, right, wrong

Kind = CallKind | Literal["irrelevance", "relevance"]
KINDS: Mapping[str, Kind] = {
    "simple_python": "simple",
    "multiple": "multiple",
    "parallel": "parallel",
    "irrelevance": "irrelevance",
    "live_simple": "simple",
    "live_irrelevance": "irrelevance",
    "parallel_multiple": "parallel",
    "live_multiple": "multiple",
    "live_parallel": "parallel",
    "live_parallel_multiple": "parallel",
    "live_relevance": "relevance",
}
_KIND_BY_COUNT: Mapping[int, Kind] = {0: "irrelevance", 1: "multiple"}  # calls expected, of rows without a category
DEFAULT = tuple(KINDS)[:6]  # what `bfcl` alone means; the others are asked for by name
VERSION = "mambino's AST check, after bfcl-eval 2026.3.23"
_REPO = "gorilla-llm/Berkeley-Function-Calling-Leaderboard"
# What the field calls the types that BFCL names after Python's.
_JSON_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}
_ASK = (
    "Answer with function calls only, in Python syntax with named arguments, as a list: [f(x=1), g(y='a')]. If no "
    "function fits, say so in words instead. The functions:\n"
)
_ALLOWED_NAME = re.compile(r"[^A-Za-z0-9_-]")


def load(options: SuiteOptions, part: str) -> Task:
    chosen = only_part("bfcl", part, tuple(KINDS)) if part else DEFAULT
    samples = [sample for category in chosen for sample in _category(options, category)]
    metrics = ("accuracy", *(() if part else chosen))
    name = f"bfcl:{part}" if part else "bfcl"
    return Task(name=name, samples=tuple(samples), score=score, metrics=metrics, attempt=attempt, version=VERSION)


def empty_task() -> Task:
    """Without samples it still scores rows that carry their function, ground_truth and category (or an id with it)."""
    return Task(name="bfcl", samples=(), score=score, metrics=("accuracy", *KINDS), version=VERSION)


def _category(options: SuiteOptions, category: str) -> tuple[Sample, ...]:
    rows = options.rows("bfcl", _source(f"BFCL_v4_{category}.json"))
    allowed: Mapping[str, Row] = {}
    if KINDS[category] not in ("irrelevance", "relevance"):
        answers = options.rows("bfcl", _source(f"possible_answer/BFCL_v4_{category}.json"))
        allowed = {str(row["id"]): row for row in answers}
    return first((_sample(row, category, allowed.get(str(row["id"]), {})) for row in rows), options.limit)


def _source(file: str) -> Source:
    return Source(names=(file,), repo=_REPO, file=file)


def _sample(row: Row, category: str, answer: Row) -> Sample:
    turns = cast(Sequence[Sequence[object]], row["question"])
    functions = cast(Sequence[Row], row["function"])
    return Sample(
        id=str(row["id"]),
        messages=tuple(message_from_json(message) for message in turns[0]),
        tools=tuple(tool_schema(function) for function in functions),
        data={"category": category, "function": functions, "ground_truth": answer.get("ground_truth")},
    )


def tool_schema(function: Row) -> dict[str, object]:
    """BFCL's description as a JSON schema, under a name that every server takes (no dots)."""
    schema = {key: _json_schema(value) for key, value in function.items() if key != "response"}
    return schema | {"name": _ALLOWED_NAME.sub("_", str(function["name"]))}


def _names(functions: Sequence[Row]) -> Mapping[str, str]:
    """What servers call a function -> what BFCL calls it."""
    return {str(tool_schema(function)["name"]): str(function["name"]) for function in functions}


def _json_schema(value: object) -> object:
    if isinstance(value, Mapping):
        converted = {key: _json_schema(item) for key, item in value.items()}
        kind = converted.get("type")
        return converted | {"type": _JSON_TYPES.get(kind, kind)} if isinstance(kind, str) else converted
    return [_json_schema(item) for item in value] if isinstance(value, list) else value


def attempt(sample: Sample, player: Player) -> dict[str, object]:
    """One answer; calls under the names that the descriptions have, not the ones that servers take.

    A model that knows no tools is asked to write calls as Python text.
    """
    functions = cast(Sequence[Row], sample.data["function"])
    if not player.responder.knows_tools:
        system = Message(role="system", content=_ASK + json.dumps(functions))
        return answer_json(player.ask((system, *sample.messages)))
    reply = player.ask(sample.messages, tools=sample.tools)
    names = _names(functions)
    calls = [{names.get(call.name, call.name): dict(call.arguments)} for call in reply.message.tool_calls]
    answer = answer_json(reply)
    return answer | ({"response": calls} if calls else {})


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    """Counted for its category, too, if the row or its id names one; else what is expected says what is checked."""
    category = str(sample.data.get("category") or category_of(str(sample.data.get("id", ""))))
    expected = _expected(sample.data)
    if expected is not None and not isinstance(expected, list):
        raise InputError("[eval] ground_truth: expected a list")
    kind = KINDS.get(category)
    if kind is None and expected is not None:
        kind = _KIND_BY_COUNT.get(len(expected), "parallel")
    if kind is None or (not expected and kind not in ("irrelevance", "relevance")):
        raise InputError(f"[eval] category {category!r} without ground_truth: not known what to expect")
    scored = _scored(kind, _functions(sample.data), cast(Sequence[Allowed], expected), answer)
    share = Share(part=scored.value or 0.0)
    by_category = {category: share} if category in KINDS else {}
    return Verdict(shares={"accuracy": share} | by_category, details={"evidence": scored.evidence})


def category_of(name: str) -> str:
    """simple_python_12 -> simple_python; live_simple_3-2-1 -> live_simple; simple, as v3 has it, is simple_python."""
    category = re.sub(r"_\d[\d-]*$", "", name)
    return "simple_python" if category == "simple" else category


def _expected(row: Row) -> object:
    """Under BFCL's name or that of its folder; as it is, or as JSON text (which tables of rows hold)."""
    expected = row.get("ground_truth", row.get("possible_answer"))
    return _read("ground_truth", expected) if isinstance(expected, str) else expected


def _read(name: str, text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"[eval] {name}: expected a list, got text that is no JSON: {error}") from None


def _functions(row: Row) -> Sequence[Row]:
    functions = row["function"]
    found = _read("function", functions) if isinstance(functions, str) else functions
    return cast(Sequence[Row], [found] if isinstance(found, Mapping) else found)


def _made(functions: Sequence[Row], answer: AnswerJson) -> tuple[Call, ...]:
    """tool_calls, whose names a server may have spelled without dots, unless the response is a list of calls itself."""
    if not answer.get("tool_calls") or isinstance(answer.get("response"), list | dict):
        return calls_of(answer["response"])
    names = _names(functions)
    return tuple(replace(call, name=names.get(call.name, call.name)) for call in calls_of(answer["tool_calls"]))


def _scored(kind: Kind, functions: Sequence[Row], expected: Sequence[Allowed], answer: AnswerJson) -> Scored:
    try:
        calls = _made(functions, answer)
    except InputError as error:
        return right("no call") if kind == "irrelevance" else wrong(str(error))
    if kind == "irrelevance":
        return wrong(f"calls {calls[0].name}") if calls else right("no call")
    if kind == "relevance":  # any call will do
        return right() if calls else wrong("no call")
    return match_calls(kind, functions, calls, expected)
