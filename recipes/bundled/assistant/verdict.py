"""Judges an answer by the facts of its row. Start at judge; judge.py counts verdicts.

Every check is a rule of its own; none looks at the expert's wording.
"""

import json
from collections.abc import Mapping, Sequence

from mambino.chat.messages import Message, ToolCall
from mambino.evals.agents import sections
from mambino.scoring.answers import abstains
from mambino.scoring.instructions import check_instructions
from mambino.scoring.scored import Scored, right, unscored, wrong
from recipes.bundled.assistant.row import Abstain, Calls, Follows, Gives, NoCall, Plays, Row, Says

_NOT_THERE = ("there is no ", "there are no ", "no tool for", "i cannot do that", "i do not know", "i don't know")
_NOTHING_LEFT = ("no light is on",)  # is an answer


def judge(row: Row, answer: Message) -> Scored:
    """1 or 0 by row.check; unscored where the verifier gives no verdict."""
    match row.check:
        case Calls(calls=calls):
            return _calls(answer.tool_calls, calls)
        case NoCall():
            return right() if answer.content.strip() and not answer.tool_calls else _called(answer)
        case Abstain():
            return right() if says_no(answer) else wrong(f"does not abstain: {_shown(answer)}")
        case Says(facts=facts):
            return _says(answer, facts)
        case Follows() as rules:
            return _follows(answer, rules)
        case Gives(value=value):
            return _gives(answer.content, value)
        case Plays(best=best):
            return _plays(answer.content, best)


def obeys_switch(row: Row, answer: Message) -> Scored:
    """Thinking on: some reasoning, which ends, and then an answer. Off: none."""
    has_answer = bool(answer.content.strip() or answer.tool_calls)
    if row.thinks:
        return right() if answer.reasoning and answer.reasoning.strip() and has_answer else wrong("did not think")
    return wrong("thought") if answer.reasoning or "think>" in answer.content else right()


def says_no(answer: Message) -> bool:
    """Whether it says, without a call, that something is not there, not known, or beyond it."""
    text = answer.content.lower().replace("\u2019", "'")
    is_no = any(phrase in text for phrase in _NOT_THERE) or abstains(text)
    return is_no and not answer.tool_calls and not text.startswith(_NOTHING_LEFT)


def _calls(made: Sequence[ToolCall], wanted: Sequence[ToolCall]) -> Scored:
    """The same calls in any order, each argument equal in kind and value; 24 is 24.0."""
    left = [_plain(call) for call in made]
    for call in map(_plain, wanted):
        if call not in left:
            return wrong(f"no call {call}; made: {left}")
        left.remove(call)
    return wrong(f"calls too many: {left}") if left else right()


def _plain(call: ToolCall) -> tuple[str, Mapping[str, tuple[bool, object]]]:
    """Comparable: Python takes True for 1."""
    return call.name, {key: (isinstance(value, bool), value) for key, value in call.arguments.items()}


def _says(answer: Message, facts: Sequence[Sequence[str]]) -> Scored:
    if answer.tool_calls:
        return _called(answer)
    text = answer.content.lower()
    absent = [wordings[0] for wordings in facts if not any(wording.lower() in text for wording in wordings)]
    return wrong(f"does not say {', '.join(absent)}: {_shown(answer)}") if absent else right()


def _follows(answer: Message, rules: Follows) -> Scored:
    """All of the rules, as IFEval's strict accuracy of prompts counts."""
    verdicts = check_instructions(answer.content, prompt=rules.prompt, instructions=rules.ids, arguments=rules.kwargs)
    if any(verdict.strict is None for verdict in verdicts):
        return unscored("; ".join(verdict.reason for verdict in verdicts))
    broken = [verdict.instruction for verdict in verdicts if not verdict.strict]
    return wrong(f"breaks {', '.join(broken)}: {_shown(answer)}") if broken else right()


def _gives(text: str, value: Mapping[str, object]) -> Scored:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        return wrong(f"no JSON: {text[:100]!r}")
    return right() if given == value else wrong(f"{given} instead of {value}")


def _plays(text: str, best: Sequence[str]) -> Scored:
    action = sections(text).get("actions", text).strip()
    return right() if action in best else wrong(f"{action[:40]!r} instead of {' or '.join(best)}")


def _called(answer: Message) -> Scored:
    return wrong(f"expected words, no call: {_shown(answer)}")


def _shown(answer: Message) -> str:
    calls = "".join(f" {call.name}({dict(call.arguments)})" for call in answer.tool_calls)
    return f"{answer.content[:100]!r}{calls}"
