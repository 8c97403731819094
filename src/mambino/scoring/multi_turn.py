"""BFCL's multi-turn check: after every turn, are the simulated services as the right calls leave them, and did the
model see all that those calls return?

Follows the official checker (bfcl-eval 2026.3.23). Start at judge_turns; decoded_turns reads answers.
"""

from collections.abc import Callable, Mapping, Sequence

from mambino.errors import InputError
from mambino.scoring.call_forms import calls_of
from mambino.scoring.call_syntax import parse_calls
from mambino.scoring.scored import Scored, right, wrong
from mambino.scoring.simulated_apis import Apis, perform

Step = list[str]  # the calls of one answer of the model, as Python text
Turns = list[list[Step]]

_BEFORE, _AFTER = 40, 160  # characters of a state in evidence, around where it is wrong


def judge_turns(turns: Sequence[Sequence[Step]], expected: Sequence[Step], new_apis: Callable[[], Apis]) -> Scored:
    """Make the model's calls and the expected ones, each on services of their own, and compare turn by turn.

    A turn that expects no calls is not compared, but what the model does in it stays done. Order and number of calls
    are free; a result counts from any turn up to the compared one.
    """
    if len(turns) != len(expected):
        return wrong(f"ended after {len(turns)} of {len(expected)} turns")
    apis, wanted = new_apis(), new_apis()
    results: list[str] = []
    for number, (steps, calls) in enumerate(zip(turns, expected, strict=True)):
        results += [perform(call, apis) for step in steps for call in step]
        needed = [perform(call, wanted) for call in calls]
        fault = _turn_fault(steps, apis, wanted, results, needed) if calls else None
        if fault is not None:
            return wrong(f"turn {number}: {fault}")
    return right()


def _turn_fault(
    steps: Sequence[Step], apis: Apis, wanted: Apis, results: Sequence[str], needed: Sequence[str]
) -> str | None:
    if not steps:
        return "no calls"
    for name, api in wanted.items():
        for attribute, value in vars(api).items():
            found = vars(apis[name])[attribute]
            if not attribute.startswith("_") and found != value:
                return f"{name}.{attribute} is {_apart(found, value)}"
    missing = _missing(needed, results)
    return f"no call returned {missing[0][:_AFTER]}" if missing else None


def _missing(needed: Sequence[str], results: Sequence[str]) -> list[str]:
    """What results lack; what is needed twice must be there twice."""
    remaining, missing = list(results), []
    for result in needed:
        if result in remaining:
            remaining.remove(result)
        else:
            missing.append(result)
    return missing


def _apart(found: object, wanted: object) -> str:
    """Both as text, from a little before the first character that differs."""
    texts = [repr(found), repr(wanted)]
    same = next((index for index, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
    start = max(0, same - _BEFORE)
    shown = [("..." if start else "") + text[start : start + _BEFORE + _AFTER] for text in texts]
    return f"{shown[0]}, not {shown[1]}"


def decoded_turns(response: object) -> Turns:
    """The calls of an answer in the official form: turns of steps; steps without calls are left out.

    Raises     InputError if it is no list of turns
    """
    if not isinstance(response, list) or not all(isinstance(turn, list) for turn in response):
        raise InputError("[bfcl] response: expected a list of turns, each a list of steps")
    return [[calls for step in turn if (calls := decoded_step(step))] for turn in response]


def decoded_step(step: object) -> Step:
    """Calls as Python text, from Python text, {name: arguments} and the like, or decoded calls; [] if it has none."""
    if isinstance(step, list) and step and all(isinstance(call, str) for call in step):
        return [] if step == [""] else step
    try:
        if isinstance(step, str):
            return [_call_text(call.name, call.arguments, _nested_text) for call in parse_calls(step)]
        return [_call_text(call.name, call.arguments, repr) for call in calls_of(step)]
    except InputError:  # words for the user, as a rule
        return []


def _call_text(name: str, arguments: Mapping[str, object], shown: Callable[[object], str]) -> str:
    return f"{name}({', '.join(f'{key}={shown(value)}' for key, value in arguments.items())})"


def _nested_text(value: object) -> str:
    """A dict of dicts is what is left of a call among arguments, as bfcl-eval reads Python text."""
    if not isinstance(value, dict):
        return repr(value)
    if not value:
        raise InputError("[bfcl] an empty dict among arguments is not read")
    if all(isinstance(item, dict) for item in value.values()):
        name, arguments = next(iter(value.items()))
        return _call_text(name, arguments, _nested_text)
    return "{" + ", ".join(f"'{key}': {_nested_text(item)}" for key, item in value.items()) + "}"
