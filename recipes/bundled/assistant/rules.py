"""Rules for an answer that a program can check, by IFEval's ids, and how one keeps to them.

A rule works on sentences (contents), on how they are laid out (layouts), or on the whole text (finishes). Start at
draw; rule_phrasings.py has how they are asked for, instruction_rows.py puts them together.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from recipes.bundled.assistant.lexicon import LEXICONS, listed
from recipes.bundled.assistant.row import Split
from recipes.bundled.assistant.rule_phrasings import PHRASINGS, Phrasing
from recipes.bundled.assistant.topics import Topic
from recipes.bundled.grammar import expand
from recipes.bundled.words import COLOURS, PLACES

_NUMBERS = ("zero", "one", "two", "three", "four", "five")
_ORDINALS = ("", "first", "second", "third")
_DIGITS = 0.3  # of the numbers that train rows spell out otherwise
_ENDS = (
    "That is all.",
    "Have a nice day!",
    "I hope this helps.",
    "The end.",
    "Is there more?",
    "Good bye!",
    "Ask me more.",
    "Peace and joy.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """contents changes the sentences, lay_out makes text of them, finish changes the text."""

    id: str
    arguments: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    text: str
    contents: Callable[[list[str]], list[str]] = lambda sentences: sentences
    lay_out: Callable[[list[str]], str] | None = None
    finish: Callable[[str], str] = lambda text: text


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a rule may refer to. says picks a phrasing of the split, and fills it."""

    rng: random.Random
    split: Split
    topic: Topic

    def says(self, phrasing: Phrasing, words: Mapping[str, str] = MappingProxyType({})) -> str:
        template = self.rng.choice(phrasing.train) if self.split == "train" else phrasing.held_out
        return expand(template, words, self.rng)

    def number(self, value: int) -> str:
        """As a word; in train rows sometimes in digits."""
        return str(value) if self.split == "train" and self.rng.random() < _DIGITS else _NUMBERS[value]


def _forms(count: int) -> Mapping[str, str]:
    """Words that agree with a count."""
    return {"s": "s", "is": "are"} if count > 1 else {"s": "", "is": "is"}


def _keywords(at: Setting) -> Rule:
    words = at.rng.sample((*COLOURS, *LEXICONS[at.split].toys, *LEXICONS[at.split].likings), at.rng.choice((1, 2, 2)))
    name = listed([f'"{word}"' for word in words])
    text = at.says(PHRASINGS["keywords:existence"], {"name": name, **_forms(len(words))})
    told = [at.rng.choice((f"I also think of {word}.", f"This makes me think of {word}.")) for word in words]
    return Rule(
        id="keywords:existence",
        arguments={"keywords": words},
        text=text,
        contents=lambda sentences: sentences[:2] + told,
    )


def _forbidden(at: Setting) -> Rule:
    words = at.rng.sample(
        ("eats", "lives", "animal", "like", "can", "legs", "young", "many", "called", "has"), at.rng.choice((1, 2))
    )
    name = listed([f'"{word}"' for word in words])
    text = at.says(PHRASINGS["keywords:forbidden_words"], {"name": name, **_forms(len(words))})
    return Rule(
        id="keywords:forbidden_words", arguments={"forbidden_words": words}, text=text,
        contents=lambda sentences: [one for one in sentences if not set(words) & set(one.lower().rstrip(".").split())],
    )  # fmt: skip


def _frequency(at: Setting) -> Rule:
    word, count = at.topic.name, at.rng.randint(2, 4)
    text = at.says(PHRASINGS["keywords:frequency"], {"word": word, "count": at.number(count)})
    return Rule(
        id="keywords:frequency",
        arguments={"keyword": word, "frequency": count, "relation": "at least"},
        text=text,
        contents=lambda sentences: [one for one in sentences if f" {word}" in one][:count],
    )


def _num_sentences(at: Setting) -> Rule:
    count = at.rng.randint(2, 5)
    if at.rng.random() < 0.5:
        text = at.says(PHRASINGS["length_constraints:number_sentences at least"], {"count": at.number(count)})
        return Rule(
            id="length_constraints:number_sentences",
            arguments={"num_sentences": count, "relation": "at least"},
            text=text,
            contents=lambda sentences: sentences[:count],
        )
    text = at.says(PHRASINGS["length_constraints:number_sentences less than"], {"count": at.number(count)})
    return Rule(
        id="length_constraints:number_sentences",
        arguments={"num_sentences": count, "relation": "less than"},
        text=text,
        contents=lambda sentences: sentences[: count - 1],
    )


def _num_words(at: Setting) -> Rule:
    if at.rng.random() < 0.5:
        count = at.rng.choice((10, 12, 15, 20, 25))
        text = at.says(PHRASINGS["length_constraints:number_words at least"], {"count": str(count)})
        return Rule(
            id="length_constraints:number_words",
            arguments={"num_words": count, "relation": "at least"},
            text=text,
            contents=lambda sentences: sentences[: count // 4 + 1],
        )
    count = at.rng.choice((8, 10, 12, 15, 20))
    text = at.says(PHRASINGS["length_constraints:number_words less than"], {"count": str(count)})
    return Rule(
        id="length_constraints:number_words",
        arguments={"num_words": count, "relation": "less than"},
        text=text,
        contents=lambda sentences: sorted(sentences[:4], key=len)[: 1 if count < 15 else 2],
    )


def _no_comma(at: Setting) -> Rule:
    text = at.says(PHRASINGS["punctuation:no_comma"])
    return Rule(id="punctuation:no_comma", text=text)


def _bullets(at: Setting) -> Rule:
    count = at.rng.randint(2, 4)
    text = at.says(PHRASINGS["detectable_format:number_bullet_lists"], {"count": at.number(count)})
    return Rule(
        id="detectable_format:number_bullet_lists",
        arguments={"num_bullets": count},
        text=text,
        lay_out=lambda sentences: "\n".join(f"* {one}" for one in sentences[:count]),
    )


def _title(at: Setting) -> Rule:
    text = at.says(PHRASINGS["detectable_format:title"])
    return Rule(
        id="detectable_format:title",
        text=text,
        lay_out=lambda sentences: f"<<The {at.topic.name}>>\n{' '.join(sentences[:3])}",
    )


def _json(at: Setting) -> Rule:
    text = at.says(PHRASINGS["detectable_format:json_format"])
    keys = at.rng.sample(list(at.topic.facts), 3)
    value = {at.topic.kind: at.topic.name} | {key: at.topic.facts[key] for key in keys}
    return Rule(id="detectable_format:json_format", text=text, lay_out=lambda sentences: json.dumps(value))


def _highlights(at: Setting) -> Rule:
    count = at.rng.randint(1, 3)
    text = at.says(
        PHRASINGS["detectable_format:number_highlighted_sections"], {"count": at.number(count), **_forms(count)}
    )
    return Rule(
        id="detectable_format:number_highlighted_sections",
        arguments={"num_highlights": count},
        text=text,
        lay_out=lambda sentences: " ".join([f"*{one}*" for one in sentences[:count]] + sentences[count : count + 1]),
    )


def _placeholders(at: Setting) -> Rule:
    count = at.rng.randint(1, 3)
    words = at.rng.sample(("name", "place", "date", "color", "number", "address"), count)
    text = at.says(
        PHRASINGS["detectable_content:number_placeholders"],
        {"count": at.number(count), "example": "[name]", **_forms(count)},
    )
    return Rule(
        id="detectable_content:number_placeholders",
        arguments={"num_placeholders": count},
        text=text,
        lay_out=lambda sentences: " ".join(sentences[:2] + [f"Write the {word} here: [{word}]." for word in words]),
    )


def _paragraphs(at: Setting) -> Rule:
    count = at.rng.randint(2, 3)
    text = at.says(PHRASINGS["length_constraints:number_paragraphs"], {"count": at.number(count)})
    return Rule(
        id="length_constraints:number_paragraphs",
        arguments={"num_paragraphs": count},
        text=text,
        lay_out=lambda sentences: "\n***\n".join(sentences[:count]),
    )


def _first_word(at: Setting) -> Rule:
    count = at.rng.randint(2, 3)
    nth, word = at.rng.randint(1, count), at.rng.choice(("many", "some", "today", "here", "once", "now", "well"))
    rest = {
        "many": "Many people know this.",
        "some": "Some people like it.",
        "today": "Today we talk about it.",
        "here": "Here is one more thing.",
        "once": "Once I saw one.",
        "now": "Now you know it.",
        "well": "Well it is nice.",
    }
    text = at.says(
        PHRASINGS["length_constraints:nth_paragraph_first_word"],
        {"count": at.number(count), "nth": at.number(nth), "ordinal": _ORDINALS[nth], "word": word},
    )
    arguments = {"num_paragraphs": count, "nth_paragraph": nth, "first_word": word}
    return Rule(
        id="length_constraints:nth_paragraph_first_word",
        arguments=arguments,
        text=text,
        lay_out=lambda sentences: "\n\n".join(
            rest[word] if index == nth else sentences[index] for index in range(1, count + 1)
        ),
    )


def _two_responses(at: Setting) -> Rule:
    text = at.says(PHRASINGS["combination:two_responses"])
    return Rule(id="combination:two_responses", text=text, lay_out=lambda sentences: "\n******\n".join(sentences[:2]))


def _sections(at: Setting) -> Rule:
    count, word = at.rng.randint(2, 3), at.rng.choice(("SECTION", "PART"))
    text = at.says(PHRASINGS["detectable_format:multiple_sections"], {"count": at.number(count), "word": word})
    return Rule(
        id="detectable_format:multiple_sections",
        arguments={"section_spliter": word, "num_sections": count},
        text=text,
        lay_out=lambda sentences: "\n".join(f"{word} {index}\n{sentences[index]}" for index in range(1, count + 1)),
    )


def _repeat(at: Setting) -> Rule:
    task = at.topic.task
    text = at.says(PHRASINGS["combination:repeat_prompt"])
    return Rule(
        id="combination:repeat_prompt",
        arguments={"prompt_to_repeat": task},
        text=text,
        lay_out=lambda sentences: " ".join([task, *sentences[:2]]),
    )


def _end(at: Setting) -> Rule:
    phrase = (
        at.rng.choice(_ENDS)
        if at.rng.random() < 0.5
        else f"I like {at.rng.choice(LEXICONS[at.split].likings)} {at.rng.choice(PLACES)}."
    )
    text = at.says(PHRASINGS["startend:end_checker"], {"phrase": phrase})
    return Rule(
        id="startend:end_checker", arguments={"end_phrase": phrase}, text=text, finish=lambda text: f"{text} {phrase}"
    )


def _quotation(at: Setting) -> Rule:
    text = at.says(PHRASINGS["startend:quotation"])
    return Rule(id="startend:quotation", text=text, finish=lambda text: f'"{text}"')


def _postscript(at: Setting) -> Rule:
    text = at.says(PHRASINGS["detectable_content:postscript"])
    return Rule(
        id="detectable_content:postscript",
        arguments={"postscript_marker": "P.S."},
        text=text,
        finish=lambda text: f"{text}\nP.S. I like the {at.topic.name}.",
    )


def _lower(at: Setting) -> Rule:
    text = at.says(PHRASINGS["change_case:english_lowercase"])
    return Rule(id="change_case:english_lowercase", text=text, finish=str.lower)


def _upper(at: Setting) -> Rule:
    text = at.says(PHRASINGS["change_case:english_capital"])
    return Rule(id="change_case:english_capital", text=text, finish=str.upper)


CONTENTS = (_keywords, _keywords, _forbidden, _frequency, _num_sentences, _num_words, _no_comma)
LAYOUTS = (
    _bullets,
    _bullets,
    _title,
    _json,
    _highlights,
    _placeholders,
    _paragraphs,
    _first_word,
    _two_responses,
    _sections,
    _repeat,
)
FINISHES = (_end, _end, _quotation, _quotation, _postscript, _postscript, _lower, _upper)
STANDING = (_end, _quotation, _lower, _no_comma)


def draw(at: Setting) -> list[Rule]:
    """One rule, or two or three of different sorts; not all go together: the verifier has the last word."""
    sorts = [CONTENTS, LAYOUTS, FINISHES]
    chosen = at.rng.sample((0, 1, 2), at.rng.choice((1, 1, 1, 2, 2, 3)))
    return [at.rng.choice(sorts[sort])(at) for sort in sorted(chosen)]
