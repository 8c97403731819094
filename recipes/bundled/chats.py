"""Simple dialogues of the closed world: greetings, feelings, facts, little stories, and honest "I do not know".

An exchange is (what the user says, what mambino answers). dialogue() strings some of them together,
some of which refer back to what was said before.
"""

import random
from collections.abc import Callable

from recipes.bundled import facts, recall, smalltalk
from recipes.bundled.grammar import expand
from recipes.bundled.smalltalk import Exchange
from recipes.bundled.stories import PLOTS, Wish, story
from recipes.bundled.words import ANIMALS, BOYS, GIRLS, TOYS

Turn = tuple[str, str]  # role, content
SYSTEM_PROMPTS = (
    "You are mambino, a small and friendly language model.",
    "You are a helpful assistant.",
    "You are a friendly assistant. You answer in short and simple sentences.",
    "You are mambino. You like stories and animals.",
    "Answer in simple English.",
)
_ASK_STORY = (
    "[Tell me a|Can you tell me a|Please tell me a|Write a|Can you write a|I want to hear a|I would like a|Make up a]"
    "[ short| little| nice| new||||] story about {topic}[.|?|!||, please.]"
)
_ASK_ANY_STORY = (
    "[Tell me a story.|Tell me a story|Can you tell me a story?|Please tell me a story.|I want a story.|"
    "A story, please.|Do you know a story?|Write a short story.|Tell me something.|Tell me another story.|"
    "Can you write a story for me?|"
    "I want to hear a story.|Read me a story.|Story time!]"
)


def story_request(rng: random.Random) -> Exchange:
    """A wish for a story, and a story that grants it."""
    if rng.random() < 0.25:
        return expand(_ASK_ANY_STORY, {}, rng), _introduced(rng, story(rng))
    which = rng.random()
    if which < 0.2:
        theme = rng.choice(tuple(PLOTS))
        topic, wish = theme, Wish(theme=theme)
    elif which < 0.6:
        kind = rng.choice([animal.name for animal in ANIMALS])
        topic, wish = expand(f"a(n) [small |little |brave |funny |||]{kind}", {}, rng), Wish(kind=kind)
    elif which < 0.8:
        kind = rng.choice(("girl", "boy"))
        name = rng.choice(GIRLS if kind == "girl" else BOYS)
        topic, wish = rng.choice((f"a {kind} named {name}", name, f"a {kind}")), Wish(kind=kind, name=name)
    elif which < 0.9:
        toy = rng.choice(TOYS)
        topic, wish = expand(f"a(n) {toy}", {}, rng), Wish(toy=toy)
    else:
        kind, theme = rng.choice(ANIMALS).name, rng.choice(tuple(PLOTS))
        topic, wish = expand(f"a(n) {kind} and {theme}", {}, rng), Wish(kind=kind, theme=theme)
    return expand(_ASK_STORY, {"topic": topic}, rng), _introduced(rng, story(rng, wish))


def _introduced(rng: random.Random, text: str) -> str:
    lead = ("Here is a story for you.\n\n", "Sure! Here is a story.\n\n", "Yes, I can. Listen!\n\n")
    return rng.choice(("", "", "", "", *lead)) + text


# how often each kind of exchange comes up
_KINDS: tuple[tuple[Callable[[random.Random], Exchange], float], ...] = (
    (smalltalk.about_mambino, 3.0),
    (smalltalk.feelings, 2.0),
    (smalltalk.opinion, 2.0),
    (smalltalk.thanks, 0.7),
    (smalltalk.unknown, 2.5),
    (facts.animal, 4.0),
    (facts.food, 1.5),
    (facts.opposite, 1.5),
    (facts.colour, 1.5),
    (facts.number, 2.0),
    (facts.calendar, 1.5),
    (facts.thing, 2.0),
    (recall.passage, 2.5),
    (story_request, 2.0),
)


def dialogue(rng: random.Random) -> list[Turn]:
    """Turns of one conversation, user first and mambino last, with a system turn now and then."""
    turns: list[Turn] = []
    if rng.random() < 0.25:
        turns.append(("system", rng.choice(SYSTEM_PROMPTS)))
    exchanges: list[Exchange] = []
    if rng.random() < 0.5:
        exchanges.append(smalltalk.greeting(rng))
    kinds, weights = zip(*_KINDS, strict=True)
    length = rng.choice((1, 1, 1, 2, 2, 3, 4)) if rng.random() < 0.95 else rng.randint(5, 16)
    picked = rng.choices(kinds, weights, k=length)
    if rng.random() < 0.2:
        exchanges += recall.memory(rng, [kind(rng) for kind in picked[:6]])
    else:
        exchanges += [kind(rng) for kind in picked]
    if rng.random() < 0.2:
        exchanges.append(smalltalk.farewell(rng))
    for user, reply in exchanges:
        turns += [("user", _typed(rng, user)), ("assistant", reply)]
    return turns


def _typed(rng: random.Random, text: str) -> str:
    """Text as people type it: now and then no capitals, or no final stop."""
    if rng.random() < 0.12:
        text = text.lower()
    if rng.random() < 0.12:
        text = text.rstrip(".?!")
    return text


def story_only(rng: random.Random) -> list[Turn]:
    """One request for a story, and the story: what people will ask a tiny model first."""
    return [("user", _typed(rng, (exchange := story_request(rng))[0])), ("assistant", exchange[1])]
