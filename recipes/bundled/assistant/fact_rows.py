"""Rows whose answer stands in the prompt, or does not: facts to answer from, and a persona to be. Start at grounded."""

import random
from collections.abc import Mapping, Sequence

from mambino.chat.messages import Message
from recipes.bundled.assistant.relations import NAME, RELATIONS, TRAITS, Relation, filled
from recipes.bundled.assistant.row import Abstain, Check, Row, Says, Split
from recipes.bundled.assistant.tool_rows import THINKS
from recipes.bundled.grammar import expand

_UNKNOWN = 0.4  # of questions have no answer
_LAYOUTS = (
    "{facts}\n{question}", "{facts} {question}", "Facts: {facts}\nQuestion: {question}",
    "Read this. {facts}\n{question}", "{question}\n{facts}", "Text: {facts}\n\n{question}",
)  # fmt: skip
_SYSTEMS = ("You know this: {facts}", "{facts}", "Answer from these facts. {facts}", "Here are some facts. {facts}")
_Known = tuple[Relation, Mapping[str, str]]


def grounded(rng: random.Random, split: Split, *, turns: Sequence[int] = (1, 1, 2, 3), thinks: float = THINKS) -> Row:
    """Two to five facts, and questions about them. turns: how many, drawn; thinks: the share with thinking on."""
    known = _facts(rng, split, rng.randint(2, 5))
    text = " ".join(expand(relation.fact, words, rng) for relation, words in known)
    in_system = rng.random() < 0.4
    messages = [Message(role="system", content=rng.choice(_SYSTEMS).format(facts=text))] if in_system else []
    is_thinking = rng.random() < thinks
    check: Check = Abstain()
    for turn in range(rng.choice(turns)):
        if rng.random() < _UNKNOWN:
            relation, words = _unknown(rng, split, known)
            topic = expand(relation.topic, words, rng)
            unsaid = f"the text does not say {topic}"
            answer, check = f"I don't know: {unsaid}.", Abstain()
            reason = f"I look for {topic}. The text says nothing about it."
        else:
            relation, words = rng.choice(known)
            answer, check = expand(relation.answer, words, rng), Says(facts=((words[relation.key],),))
            reason = (
                f"I look for {expand(relation.topic, words, rng)}. The text says: {expand(relation.fact, words, rng)}"
            )
        asked = expand(relation.question(split), words, rng)
        if turn == 0 and not in_system:
            asked = rng.choice(_LAYOUTS).format(facts=text, question=asked)
        messages.append(Message(role="user", content=asked))
        messages.append(Message(role="assistant", content=answer, reasoning=reason if is_thinking else None))
    return Row(kind="grounded", messages=tuple(messages), check=check)


def persona(rng: random.Random, split: Split, *, turns: Sequence[int] = (1, 2, 2, 3), thinks: float = THINKS) -> Row:
    """Who it is stands in the system prompt; it answers as that one, and does not invent the rest. Else as grounded."""
    words = filled(rng, split)
    given = rng.sample(TRAITS[1:], rng.randint(1, 4))
    about = " ".join(expand(relation.fact, words, rng) for relation in (NAME, *given))
    answerable = (NAME, TRAITS[0], *given)
    is_thinking = rng.random() < thinks
    messages = [Message(role="system", content=about)]
    check: Check = Abstain()
    for _ in range(rng.choice(turns)):
        relation, reply, reason, check = _about_oneself(rng, answerable, words)
        messages.append(Message(role="user", content=expand(relation.question(split), words, rng)))
        messages.append(Message(role="assistant", content=reply, reasoning=reason if is_thinking else None))
    return Row(kind="persona", messages=tuple(messages), check=check)


def _about_oneself(
    rng: random.Random, answerable: Sequence[Relation], words: Mapping[str, str]
) -> tuple[Relation, str, str, Check]:
    """What is asked, the reply, the reasoning, and the check."""
    unknown = [relation for relation in TRAITS if relation not in answerable]
    if unknown and rng.random() < _UNKNOWN:
        relation = rng.choice(unknown)
        return relation, f"I do not know {relation.topic}.", "My prompt says nothing about that.", Abstain()
    relation = rng.choice(answerable)
    told = expand((NAME if relation is TRAITS[0] else relation).fact, words, rng)
    reply = expand(relation.answer, words, rng)
    return relation, reply, f"My prompt says: {told}", Says(facts=((words[relation.key],),))


def _facts(rng: random.Random, split: Split, count: int) -> list[_Known]:
    """Facts that do not contradict one another."""
    known = list[_Known]()
    while len(known) < count:
        relation, words = rng.choice(RELATIONS), filled(rng, split)
        if known and rng.random() < 0.5:  # something more about the same one
            words |= {slot: known[-1][1][slot] for slot in ("person", "toy", "animal") if slot != relation.key}
        if not _told(relation, words, known):
            known.append((relation, words))
    return known


def _unknown(rng: random.Random, split: Split, known: Sequence[_Known]) -> _Known:
    """A question that the facts leave open: another thing about the same one, or the same thing about another."""
    while True:
        relation, words = rng.choice(RELATIONS), filled(rng, split)
        if rng.random() < 0.5:
            relation = rng.choice(known)[0]
        elif relation.subject:
            words[relation.subject] = rng.choice(known)[1][relation.subject]
        if not _told(relation, words, known):
            return relation, words


def _told(relation: Relation, words: Mapping[str, str], known: Sequence[_Known]) -> bool:
    """Whether known answers the question of relation, or speaks of the thing under another name's fact."""
    subject = words[relation.subject]
    for other, others in known:
        same_topic = other.topic == relation.topic and others[other.subject] == subject
        # "Tom has a red ball" also tells the color of the ball
        tells_color = relation.topic.startswith("what color") and "{toy}" in other.fact and others["toy"] == subject
        if same_topic or tells_color:
            return True
    return False
