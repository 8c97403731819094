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
from recipes.bundled.assistant.rule_phrasings import Phrasing
from recipes.bundled.assistant.rules import Rule, Setting
from recipes.bundled.assistant.tool_rows import THINKS
from recipes.bundled.assistant.topics import topic
from recipes.bundled.grammar import expand

_USUAL_SENTENCES = 3
# What is told, by the key that asks for it. Held-out rows use the first of each.
_ABOUT = {
    "name": ("{person} is the name.",),
    "age": ("{person} is {number} years old.", "{person} is {number}.", "The age of {person} is {number}."),
    "city": ("{person} lives in {city}.", "{person}'s home is in {city}.", "{person} comes from {city}."),
    "job": ("{person} is a(n) {job}.", "{person} works as a(n) {job}.", "The job of {person} is {job}."),
    "likes": ("{person} likes {liking}.", "What {person} likes is {liking}.", "{person} loves {liking}."),
    "color": ("{person}'s color is {color}.", "The color of {person} is {color}.", "{person} wears {color}."),
    "pet": ("{person} has a pet called {pet}.", "{person}'s pet is {pet}.", "The name of {person}'s pet is {pet}."),
    "friend": (
        "{person}'s friend is called {friend}.",
        "{person} has a friend: {friend}.",
        "{person} and {friend} are friends.",
    ),
}
_NEEDED = (
    "We need {items}.",
    "I want to buy {items}.",
    "Please buy {items}.",
    "What we need: {items}.",
    "The list has {items}.",
    "I wrote down {items}.",
)
_WANTED_LIST = (
    'a list under the key "{key}"',
    'the key "{key}" for the list',
    'one list named "{key}"',
    'all of them under "{key}"',
)
_WANTED_KEYS = (
    "the key{s} {keys}",
    "only the key{s} {keys}",
    "{keys} as key{s}",
    "the key name{s} {keys}",
    "{these} key{s}: {keys}",
)
_AS_JSON = Phrasing(
    train=(
        "{told}\n[Write|Give me|Make] JSON with {wanted}.",
        "[Write|Give me|Make] JSON with {wanted}: {told}",
        "{told} Put this into JSON with {wanted}.",
        "{told} Turn it into JSON with {wanted}.",
        "{told}\nPlease write this down in JSON, with {wanted}.",
        "{told}\nThe answer should be a JSON object with {wanted}.",
        "Here is a text: {told} I want JSON with {wanted}.",
        "I need a JSON object with {wanted} from this text: {told}",
        "Read this. {told}\nThen give the facts as JSON with {wanted}.",
        "Use JSON with {wanted} to say this: {told}",
        "{told} Format it as JSON. It should be JSON with {wanted}.",
        "{told} Your answer has to be nothing but JSON with {wanted}.",
        "{told} Make sure that you answer in JSON with {wanted}.",
        "Turn this into JSON with {wanted}.\n{told}",
        "{told} Can you make a JSON object with {wanted}?",
        "{told}\nJSON with {wanted}, please.",
        "What would this be in JSON with {wanted}? {told}",
    ),
    held_out="[{told}\nI need this as JSON with {wanted}.|{told} Answer as JSON with {wanted}.]",
)
_FROM_NOW = Phrasing(
    train=(
        "[From now on|In every answer|For all of your answers|Always]: {rule}",
        "{rule} Do this in every answer.",
        "{rule} This is for all of my questions.",
        "For the rest of our talk: {rule}",
        "Here is a rule for this talk: {rule}",
        "Keep this rule in each of your answers: {rule}",
        "I have one rule for you: {rule}",
        "Remember this for all that I ask: {rule}",
        "Whatever I ask, this holds: {rule}",
        "{rule} Never forget this rule.",
        "{rule} It holds from now on.",
        "There is a rule for everything you write: {rule}",
        "Please follow this rule all the time. {rule}",
        "My questions come next. For each of them: {rule}",
        "Every answer of yours should follow this: {rule}",
        "{rule} I want this for every answer, not only for one.",
    ),
    held_out="[Until I say stop|Each time]: {rule}",
)
_SLOTS = {"name": "person", "age": "number", "likes": "liking"}


def instruction(rng: random.Random, split: Split) -> Row:
    """Something to write, under one to three rules."""
    drawn, check, answer = _request(rng, split)
    reasoning = f"{'The rule' if len(drawn) == 1 else 'The rules'}: {' '.join(rule.text for rule in drawn)}"
    reply = Message(role="assistant", content=answer, reasoning=reasoning if rng.random() < THINKS else None)
    return Row(kind="instruction", messages=(Message(role="user", content=check.prompt), reply), check=check)


def drill(rng: random.Random, split: Split, turns: int) -> Row:
    """As many instructions, each for its own answer only; thinking off."""
    requests = [_request(rng, split) for _ in range(turns)]
    messages = list[Message]()
    for _, check, answer in requests:
        messages += [Message(role="user", content=check.prompt), Message(role="assistant", content=answer)]
    return Row(kind="instruction_drill", messages=tuple(messages), check=requests[-1][1])


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
    from_now = at.says(_FROM_NOW, {"rule": rule.text})
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
    asked, value, wanted = _facts(rng, split)
    reasoning = f"I write only JSON with {wanted}." if rng.random() < THINKS else None
    answer = Message(role="assistant", content=json.dumps(value), reasoning=reasoning)
    return Row(kind="structured", messages=(Message(role="user", content=asked), answer), check=Gives(value=value))


def structured_drill(rng: random.Random, split: Split, turns: int) -> Row:
    """As many texts to be given as JSON, each with keys of its own; thinking off."""
    questions = [_facts(rng, split) for _ in range(turns)]
    messages = list[Message]()
    for asked, value, _ in questions:
        messages += [Message(role="user", content=asked), Message(role="assistant", content=json.dumps(value))]
    return Row(kind="structured_drill", messages=tuple(messages), check=Gives(value=questions[-1][1]))


def _request(rng: random.Random, split: Split) -> tuple[list[Rule], Follows, str]:
    """Rules that go together, what a judge must find (with the prompt), and an answer in which it finds it."""
    while True:
        at = Setting(rng=rng, split=split, topic=topic(rng, split))
        drawn = rules.draw(at)
        check = Follows(
            prompt=" ".join([at.topic.task, *(rule.text for rule in drawn)]),
            ids=tuple(rule.id for rule in drawn),
            kwargs=tuple(rule.arguments for rule in drawn),
        )
        answer = _kept(at, drawn)
        if _passes(answer, check):
            return drawn, check, answer


def _facts(rng: random.Random, split: Split) -> tuple[str, dict[str, object], str]:
    """The question, the JSON that answers it, and in words what it should have."""

    def told_as(forms: Sequence[str], slots: Mapping[str, str]) -> str:
        return expand(rng.choice(forms) if split == "train" else forms[0], slots, rng)

    words = filled(rng, split)
    value: dict[str, object]
    if rng.random() < 0.25:
        items = rng.sample(LEXICONS[split].items, rng.randint(2, 4))
        key = rng.choice(("items", "list", "things", "shopping"))
        value = {key: items}
        told, wanted = told_as(_NEEDED, {"items": listed(items)}), told_as(_WANTED_LIST, {"key": key})
    else:
        told_keys = rng.sample(list(_ABOUT), rng.randint(3, 5))
        told = " ".join(told_as(_ABOUT[key], words) for key in told_keys if key != "name")
        keys = rng.sample(told_keys, rng.randint(1, min(3, len(told_keys))))
        value = {key: int(words["number"]) if key == "age" else words[_SLOTS.get(key, key)] for key in keys}
        agreeing = {"s": "s", "these": "these"} if len(keys) > 1 else {"s": "", "these": "this"}
        wanted = told_as(_WANTED_KEYS, {"keys": listed(keys), **agreeing})
    template = rng.choice(_AS_JSON.train) if split == "train" else _AS_JSON.held_out
    return expand(template, {"told": told, "wanted": wanted}, rng), value, wanted


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
