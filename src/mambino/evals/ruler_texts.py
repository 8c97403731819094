"""The texts of RULER's tasks: each function draws a prompt of about `words` words and what an answer must hold.

Start at needles. Nothing here is read from files; see haystack.py for what the texts are made of.
"""

from collections import Counter
from itertools import pairwise
from typing import Literal

from mambino.evals.haystack import Haystack

Kind = Literal["word", "number", "uuid"]
Background = Literal["noise", "essay", "needles"]
Drawn = tuple[str, tuple[str, ...]]

CHAIN = 5  # variables that hold the value
COMMON, COMMON_TIMES, RARE_TIMES = 10, 30, 3
FREQUENT, ZIPF = 3, 2.0
NEEDLE_WORDS = {"word": 10, "number": 10, "uuid": 24}  # in plain words of the same number of tokens
CODED_WORDS = 2.2  # so many plain words take the tokens of one made-up word


def _drawn(haystack: Haystack, kind: Kind) -> str:
    return {"word": haystack.word, "number": haystack.number, "uuid": haystack.uuid}[kind]()


def needles(
    haystack: Haystack,
    words: int,
    *,
    background: Background,
    key: Kind = "word",
    value: Kind = "number",
    keys: int = 1,
    values: int = 1,
    queries: int = 1,
) -> Drawn:
    """Secret values of some keys, hidden in a text; asked for are those of the first `queries` keys."""
    if background == "needles":
        keys = max(2, words // NEEDLE_WORDS[value])
    table = {_drawn(haystack, key): [_drawn(haystack, value) for _ in range(values)] for _ in range(keys)}
    lines = [f"The secret {value} of {name} is {item}." for name, items in table.items() for item in items]
    haystack.rng.shuffle(lines)
    if background == "needles":
        text = " ".join(lines)
    else:
        around = haystack.noise(words) if background == "noise" else haystack.essay(words)
        text = haystack.hide(lines, around)
    asked = list(table)[:queries]
    prompt = (
        f"Somewhere in the text below, secret {value}s are given. Remember them: a question about them follows.\n\n"
        f"{text}\n\nWhat are all the secret {value}s of {', '.join(asked)} in the text? Answer with them only."
    )
    return prompt, tuple(item for name in asked for item in table[name])


def variables(haystack: Haystack, words: int) -> Drawn:
    """A chain of assignments, VAR B = VAR A, between noise; asked for are all variables of one value."""
    chain, value = [haystack.variable() for _ in range(CHAIN)], haystack.number()[:5]
    lines = [f"VAR {chain[0]} = {value}."]
    lines += [f"VAR {name} = VAR {before}." for before, name in pairwise(chain)]
    prompt = (
        "Follow the assignments of variables that are hidden in the text below.\n\n"
        f"{haystack.hide(lines, haystack.noise(words))}\n\n"
        f"Which variables have the value {value}, directly or through others? Name all of them, and only them."
    )
    return prompt, tuple(chain)


def common_words(haystack: Haystack, words: int) -> Drawn:
    """A numbered list of words of which ten come far more often; shorter texts repeat them less."""
    words = int(words / CODED_WORDS)
    times = min(COMMON_TIMES, max(4, words // (2 * COMMON)))
    rare = max(1, min(RARE_TIMES, times // 4))
    common = [haystack.word() for _ in range(COMMON)]
    others = [haystack.word() for _ in range(max(1, (words - COMMON * times) // (2 * rare)))]
    drawn = common * times + others * rare
    haystack.rng.shuffle(drawn)
    listed = " ".join(f"{index}. {word}" for index, word in enumerate(drawn, 1))
    prompt = (
        "Below is a numbered list of words, some of which come often.\n\n"
        f"{listed}\n\nWhich {COMMON} words come most often in the list? Answer with them only."
    )
    return prompt, tuple(common)


def frequent_words(haystack: Haystack, words: int) -> Drawn:
    """Coded words whose frequencies fall by a power law; asked for are the three most frequent."""
    words = int(words / CODED_WORDS)
    coded = [haystack.word() for _ in range(max(10, words // 20))]
    weights = [(rank + 1) ** -ZIPF for rank in range(len(coded))]
    drawn = haystack.rng.choices(coded, weights, k=words)
    counts = Counter(drawn).most_common(FREQUENT + 1)
    if len(counts) > FREQUENT and counts[FREQUENT - 1][1] == counts[FREQUENT][1]:  # a tie has no right answer
        drawn.append(counts[FREQUENT - 1][0])
    text = " ".join(drawn)
    prompt = (
        f"The text below is in code.\n\n{text}\n\n"
        f"Which {FREQUENT} words come most often in the coded text? Answer with them only."
    )
    return prompt, tuple(word for word, _ in Counter(drawn).most_common(FREQUENT))


def documents(haystack: Haystack, words: int, *, hops: Literal[1, 2]) -> Drawn:
    """Documents about made-up people and towns; the question needs one of them, or two."""
    people = [(haystack.word().title(), haystack.word().title(), haystack.word().title()) for _ in range(4)]
    facts = []
    for name, town, country in people:
        facts += [f"{name} lives in the town of {town}.", f"The town of {town} lies in the country of {country}."]
    each = max(10, words // len(facts))
    texts = []
    for fact in facts:
        sentences = haystack.essay(each)
        texts.append(haystack.hide([fact], sentences))
    haystack.rng.shuffle(texts)
    numbered = "\n\n".join(f"Document {index}:\n{text}" for index, text in enumerate(texts, 1))
    name, town, country = people[0]
    question = f"In which town does {name} live?" if hops == 1 else f"In which country does {name} live?"
    prompt = f"Answer a question from the documents below.\n\n{numbered}\n\n{question} Answer with its name only."
    return prompt, (town if hops == 1 else country,)
