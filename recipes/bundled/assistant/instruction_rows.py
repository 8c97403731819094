"""Rows with rules that a program checks, rules that stand for a whole conversation, and facts to be put into JSON.

Every answer is one that the official verifiers take. Start at instruction.
"""

import json
import random
from collections.abc import Mapping, Sequence

from mambino.chat.messages import Message
from mambino.scoring.instructions import check_instructions
from recipes.bundled.assistant import rules
from recipes.bundled.assistant.lexicon import LEXICONS, listed
from recipes.bundled.assistant.relations import filled
from recipes.bundled.assistant.row import Follows, Gives, Row, Split
from recipes.bundled.assistant.rules import Rule, Setting
from recipes.bundled.assistant.tool_rows import THINKS
from recipes.bundled.assistant.topics import topic
from recipes.bundled.grammar import expand

_USUAL_SENTENCES = 3
_ABOUT = {
    "name": "{person} is the name.", "age": "{person} is {number} years old.", "city": "{person} lives in {city}.",
    "job": "{person} is a(n) {job}.", "likes": "{person} likes {liking}.", "color": "{person}'s color is {color}.",
    "pet": "{person} has a pet called {pet}.", "friend": "{person}'s friend is called {friend}.",
}  # fmt: skip
_AS_JSON: Mapping[Split, str] = {
    "train": "[{told}\n[Write|Give me|Make] JSON with {wanted}.|[Write|Give me|Make] JSON with {wanted}: {told}|"
    "{told} Put this into JSON with {wanted}.]",
    "held_out": "[{told}\nI need this as JSON with {wanted}.|{told} Answer as JSON with {wanted}.]",
}
_SLOTS = {"name": "person", "age": "number", "likes": "liking"}


def instruction(rng: random.Random, split: Split) -> Row:
    """Something to write, under one to three rules."""
    while True:
        at = Setting(rng=rng, split=split, topic=topic(rng, split))
        drawn = rules.draw(at)
        prompt = " ".join([at.topic.task, *(rule.text for rule in drawn)])
        answer = _kept(at, drawn)
        check = Follows(
            prompt=prompt, ids=tuple(rule.id for rule in drawn), kwargs=tuple(rule.arguments for rule in drawn)
        )
        if _passes(answer, check):
            break
    reasoning = f"{'The rule' if len(drawn) == 1 else 'The rules'}: {' '.join(rule.text for rule in drawn)}"
    reply = Message(role="assistant", content=answer, reasoning=reasoning if rng.random() < THINKS else None)
    return Row(kind="instruction", messages=(Message(role="user", content=prompt), reply), check=check)


def standing(rng: random.Random, split: Split) -> Row:
    """A rule given once, in the system prompt or by the user, that every later answer keeps."""
    while True:
        at = Setting(rng=rng, split=split, topic=topic(rng, split))
        rule = rng.choice(rules.STANDING)(at)
        check = Follows(prompt=rule.text, ids=(rule.id,), kwargs=(rule.arguments,))
        settings = [Setting(rng=rng, split=split, topic=topic(rng, split)) for _ in range(rng.randint(1, 3))]
        answers = [_kept(one, [rule]) for one in settings]
        if all(_passes(answer, check) for answer in answers):
            break
    from_now = at.says(
        "[From now on|In every answer|For all of your answers|Always]: {rule}",
        "[Until I say stop|Each time]: {rule}",
        {"rule": rule.text},
    )
    thinks = rng.random() < THINKS
    if rng.random() < 0.5:
        messages = [Message(role="system", content=from_now)]
    else:
        agreed = rule.finish("I will do that.")
        messages = [
            Message(role="user", content=from_now),
            Message(role="assistant", content=agreed, reasoning=f"The rule: {rule.text}" if thinks else None),
        ]
    for one, answer in zip(settings, answers, strict=True):
        reasoning = f"The rule still holds: {rule.text}" if thinks else None
        messages += [
            Message(role="user", content=one.topic.task),
            Message(role="assistant", content=answer, reasoning=reasoning),
        ]
    return Row(kind="standing", messages=tuple(messages), check=check)


def structured(rng: random.Random, split: Split) -> Row:
    """Facts in sentences, to be given as JSON with the keys that are asked for."""
    words = filled(rng, split)
    if rng.random() < 0.25:
        items = rng.sample(LEXICONS[split].items, rng.randint(2, 4))
        key = rng.choice(("items", "list", "things", "shopping"))
        value: dict[str, object] = {key: items}
        told, wanted = f"We need {listed(items)}.", f'a list under the key "{key}"'
    else:
        told_keys = rng.sample(list(_ABOUT), rng.randint(3, 5))
        told = " ".join(expand(_ABOUT[key], words, rng) for key in told_keys if key != "name")
        keys = rng.sample(told_keys, rng.randint(1, min(3, len(told_keys))))
        value = {key: int(words["number"]) if key == "age" else words[_SLOTS.get(key, key)] for key in keys}
        wanted = f"the key{'s' if len(keys) > 1 else ''} {listed(keys)}"
    asked = expand(_AS_JSON[split], {"told": told, "wanted": wanted}, rng)
    reasoning = f"I write only JSON with {wanted}." if rng.random() < THINKS else None
    answer = Message(role="assistant", content=json.dumps(value), reasoning=reasoning)
    return Row(kind="structured", messages=(Message(role="user", content=asked), answer), check=Gives(value=value))


def _kept(at: Setting, drawn: Sequence[Rule]) -> str:
    """An answer that keeps the rules, if they go together."""
    sentences = list(at.topic.sentences)
    for rule in drawn:
        sentences = rule.contents(sentences)
    layouts = [rule.lay_out for rule in drawn if rule.lay_out is not None]
    counted = any(rule.id.startswith("length_constraints") or rule.id.startswith("keywords") for rule in drawn)
    if layouts and len(sentences) >= len(at.topic.sentences) // 2:
        text = layouts[0](sentences)
    else:
        text = " ".join(
            sentences if counted and len(sentences) < len(at.topic.sentences) else sentences[:_USUAL_SENTENCES]
        )
    for rule in drawn:
        text = rule.finish(text)
    return text


def _passes(answer: str, check: Follows) -> bool:
    verdicts = check_instructions(answer, prompt=check.prompt, instructions=check.ids, arguments=check.kwargs)
    return all(verdict.strict for verdict in verdicts)
