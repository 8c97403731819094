# ruff: noqa: E501 - phrasings are data here, one set of alternatives a line
"""Rules for an answer that a program can check, by IFEval's ids: how they are asked for, and how one keeps to them.

A rule works on sentences (contents), on how they are laid out (layouts), or on the whole text (finishes). Start at
draw; instruction_rows.py puts them together.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from recipes.bundled.assistant.lexicon import LEXICONS, listed
from recipes.bundled.assistant.row import Split
from recipes.bundled.assistant.topics import Topic
from recipes.bundled.grammar import expand
from recipes.bundled.words import COLOURS, PLACES

_NUMBERS = ("zero", "one", "two", "three", "four", "five")
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

    def says(self, train: str, held_out: str, words: Mapping[str, str] = MappingProxyType({})) -> str:
        return expand(train if self.split == "train" else held_out, words, self.rng)


def _keywords(at: Setting) -> Rule:
    words = at.rng.sample((*COLOURS, *LEXICONS[at.split].toys, *LEXICONS[at.split].likings), at.rng.choice((1, 2, 2)))
    name = listed([f'"{word}"' for word in words])
    text = at.says(
        "[Use the word{s} {name}|Include the word{s} {name}|The text must have the word{s} {name}|Put the word{s} {name} in your answer].",
        "[The word{s} {name} must appear|Work {name} into your answer].",
        {"name": name, "s": "s" if len(words) > 1 else ""},
    )
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
    text = at.says(
        "[Do not use the word{s} {name}|Leave out the word{s} {name}|Never write {name}|Without the word{s} {name}].",
        "[The word{s} {name} must not appear|Avoid the word{s} {name}].",
        {"name": name, "s": "s" if len(words) > 1 else ""},
    )
    return Rule(
        id="keywords:forbidden_words", arguments={"forbidden_words": words}, text=text,
        contents=lambda sentences: [one for one in sentences if not set(words) & set(one.lower().rstrip(".").split())],
    )  # fmt: skip


def _frequency(at: Setting) -> Rule:
    word, count = at.topic.name, at.rng.randint(2, 4)
    text = at.says(
        '[Use|Write] the word "{word}" at least {count} times.',
        'The word "{word}" must come at least {count} times.',
        {"word": word, "count": _NUMBERS[count]},
    )
    return Rule(
        id="keywords:frequency",
        arguments={"keyword": word, "frequency": count, "relation": "at least"},
        text=text,
        contents=lambda sentences: [one for one in sentences if f" {word}" in one][:count],
    )


def _num_sentences(at: Setting) -> Rule:
    count = at.rng.randint(2, 5)
    if at.rng.random() < 0.5:
        text = at.says(
            "[Write|Use] at least {count} sentences.",
            "The answer must have at least {count} sentences.",
            {"count": _NUMBERS[count]},
        )
        return Rule(
            id="length_constraints:number_sentences",
            arguments={"num_sentences": count, "relation": "at least"},
            text=text,
            contents=lambda sentences: sentences[:count],
        )
    text = at.says(
        "[Write|Use] less than {count} sentences.",
        "The answer must have less than {count} sentences.",
        {"count": _NUMBERS[count]},
    )
    return Rule(
        id="length_constraints:number_sentences",
        arguments={"num_sentences": count, "relation": "less than"},
        text=text,
        contents=lambda sentences: sentences[: count - 1],
    )


def _num_words(at: Setting) -> Rule:
    if at.rng.random() < 0.5:
        count = at.rng.choice((10, 12, 15, 20, 25))
        text = at.says(
            "[Write|Use] at least {count} words.", "The answer must have at least {count} words.", {"count": str(count)}
        )
        return Rule(
            id="length_constraints:number_words",
            arguments={"num_words": count, "relation": "at least"},
            text=text,
            contents=lambda sentences: sentences[: count // 4 + 1],
        )
    count = at.rng.choice((8, 10, 12, 15, 20))
    text = at.says(
        "[Write|Use] less than {count} words.", "The answer must have less than {count} words.", {"count": str(count)}
    )
    return Rule(
        id="length_constraints:number_words",
        arguments={"num_words": count, "relation": "less than"},
        text=text,
        contents=lambda sentences: sorted(sentences[:4], key=len)[: 1 if count < 15 else 2],
    )


def _no_comma(at: Setting) -> Rule:
    text = at.says(
        "[Do not use any commas|Use no commas|Write without commas|No commas, please].",
        "[There must be no comma in your answer|Avoid all commas].",
    )
    return Rule(id="punctuation:no_comma", text=text)


def _bullets(at: Setting) -> Rule:
    count = at.rng.randint(2, 4)
    text = at.says(
        "[Write|Answer with|Use|Give me] exactly {count} bullet points[| that begin with *].",
        "[Your answer must have exactly|Make a list of exactly] {count} bullet points.",
        {"count": _NUMBERS[count]},
    )
    return Rule(
        id="detectable_format:number_bullet_lists",
        arguments={"num_bullets": count},
        text=text,
        lay_out=lambda sentences: "\n".join(f"* {one}" for one in sentences[:count]),
    )


def _title(at: Setting) -> Rule:
    text = at.says(
        "[Give it a title|Add a title|Put a title on top|Begin with a title], [written|wrapped] in <<[ and |]>>.",
        "There must be a title in double angle brackets, like <<title>>.",
    )
    return Rule(
        id="detectable_format:title",
        text=text,
        lay_out=lambda sentences: f"<<The {at.topic.name}>>\n{' '.join(sentences[:3])}",
    )


def _json(at: Setting) -> Rule:
    text = at.says(
        "[Answer in|Write only|Give the answer as|Use only] JSON.",
        "[The whole answer must be JSON|Put everything in JSON].",
    )
    keys = at.rng.sample(list(at.topic.facts), 3)
    value = {"animal": at.topic.name} | {key: at.topic.facts[key] for key in keys}
    return Rule(id="detectable_format:json_format", text=text, lay_out=lambda sentences: json.dumps(value))


def _highlights(at: Setting) -> Rule:
    count = at.rng.randint(1, 3)
    text = at.says(
        "[Highlight|Mark] at least {count} part{s} with stars, like *this*.",
        "At least {count} part{s} must be *highlighted*.",
        {"count": _NUMBERS[count], "s": "s" if count > 1 else ""},
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
        "[Use|Put in] at least {count} placeholder{s} in square brackets, like [bracketed].",
        "At least {count} placeholder{s} in square brackets must be in it.",
        {"count": _NUMBERS[count], "s": "s" if count > 1 else ""},
    ).replace("bracketed", "[name]")
    return Rule(
        id="detectable_content:number_placeholders",
        arguments={"num_placeholders": count},
        text=text,
        lay_out=lambda sentences: " ".join(sentences[:2] + [f"Write the {word} here: [{word}]." for word in words]),
    )


def _paragraphs(at: Setting) -> Rule:
    count = at.rng.randint(2, 3)
    text = at.says(
        "[Write|Use|Make] {count} paragraphs, with *** between them.",
        "There must be {count} paragraphs, separated by ***.",
        {"count": _NUMBERS[count]},
    )
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
        '[Write|Use|Make] {count} paragraphs with an empty line between them. Paragraph {nth} begins with the word "{word}".',
        'There must be {count} paragraphs with empty lines between them, and paragraph {nth} must start with "{word}".',
        {"count": _NUMBERS[count], "nth": _NUMBERS[nth], "word": word},
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
    text = at.says(
        "[Give|Write] two different answers with ****** between them.",
        "There must be two different answers, separated by ******.",
    )
    return Rule(id="combination:two_responses", text=text, lay_out=lambda sentences: "\n******\n".join(sentences[:2]))


def _sections(at: Setting) -> Rule:
    count, word = at.rng.randint(2, 3), at.rng.choice(("SECTION", "PART"))
    text = at.says(
        "[Write|Make|Use] {count} sections, each beginning with {word} and its number, like {word} 1.",
        "There must be {count} sections, marked {word} 1 and so on.",
        {"count": _NUMBERS[count], "word": word},
    )
    return Rule(
        id="detectable_format:multiple_sections",
        arguments={"section_spliter": word, "num_sections": count},
        text=text,
        lay_out=lambda sentences: "\n".join(f"{word} {index}\n{sentences[index]}" for index in range(1, count + 1)),
    )


def _repeat(at: Setting) -> Rule:
    task = at.topic.task
    text = at.says(
        "[First repeat|Begin by repeating] the request word for word, then answer it.",
        "Before you answer, say the request again, word for word.",
    )
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
    text = at.says(
        '[End|Finish|Close] [with|your answer with|the text with] [the words |]"{phrase}"',
        'The last words must be "{phrase}"',
        {"phrase": phrase},
    )
    return Rule(
        id="startend:end_checker", arguments={"end_phrase": phrase}, text=text, finish=lambda text: f"{text} {phrase}"
    )


def _quotation(at: Setting) -> Rule:
    text = at.says(
        "[Put your whole answer in|Put everything in|Wrap the answer in|Write it all in] double quotes.",
        '[The whole answer must be inside double quotes|Begin and end with "].',
    )
    return Rule(id="startend:quotation", text=text, finish=lambda text: f'"{text}"')


def _postscript(at: Setting) -> Rule:
    text = at.says(
        "[End with|Add|Put] a postscript that begins with P.S.",
        "There must be a postscript, starting with P.S., at the end.",
    )
    return Rule(
        id="detectable_content:postscript",
        arguments={"postscript_marker": "P.S."},
        text=text,
        finish=lambda text: f"{text}\nP.S. I like the {at.topic.name}.",
    )


def _lower(at: Setting) -> Rule:
    text = at.says(
        "[Use only small letters|Write in lowercase letters only|No capital letters|Write everything in lowercase].",
        "[Everything must be lowercase|There must be no capital letter].",
    )
    return Rule(id="change_case:english_lowercase", text=text, finish=str.lower)


def _upper(at: Setting) -> Rule:
    text = at.says(
        "[Use only capital letters|Write in capital letters only|Write everything in capitals|All letters must be big].",
        "[Everything must be in capital letters|There must be only capital letters].",
    )
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
