"""What is said around tools: a device's own tools made on the spot, values, requests in words, the reasons for a call.

Start at Offered and offer.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from mambino.chat.messages import ToolCall
from recipes.bundled.assistant.device_kinds import device_kind
from recipes.bundled.assistant.lexicon import LEXICONS, listed, made_up
from recipes.bundled.assistant.row import Split
from recipes.bundled.assistant.tool_kinds import TOOL_KINDS, Form, Slot, ToolKind
from recipes.bundled.grammar import capital, expand

_OWN_DEVICE = 0.3  # of the tools listed belong to one device, and are made on the spot
_SHARED_DEVICE = 0.5  # of these belong to one and the same
_RENAMED = 0.4  # of tools have other names for themselves and their parameters than usual
_SLOPPY = 0.12  # of requests begin with a small letter, or end without a stop
_MADE_UP = 0.4  # of names
_BARE = 0.5  # of made-up rooms of training are a "den", not a "den room"
POLITE: Mapping[Split, tuple[str, ...]] = {  # in grammar.expand's notation
    "train": (
        "{text}.", "{text}.", "{text}.", "{text}.", "{text}.", "{text}", "{text}", "{text}!",
        "please {text}.", "{text}, please.", "can you {text}?",
        "[now|then|hey,|hi,|hi!|well,|so,|yes,|right,|listen:|oh,|one more thing:] {text}[.|, please.]",
        "[can|could|will] you [|please |just |quickly |kindly ]{text}[|, please| right away| at once| today]?",
        "I [want|would like|would love|ask|am asking] you to {text}[|, please| right away| at once| today].",
        "{text} [right away|at once|today|again|when you can|if you can|for us|for everyone|for once].",
        "{text}[, thanks|, thank you|, will you|, my friend| and that is all].",
        "[someone|we|you] [should|must] {text}.",
        "[it would be nice|it would help|I would be glad] if you could {text}.",
        "[let us|go ahead and|be so kind and|help me to|do not forget to|remember to] {text}.",
        "[may|might|could|can] I ask you to {text}?",
        "[is it possible|are you able|would it be possible|is there a way|are you ready] to {text}[|, please]?",
        "[could you maybe|can't you|won't you|do you think you can|why don't you|how about you] {text}[|, please]?",
        "[mambino|excuse me|good morning|good evening|thanks|sorry|next|first|quick], {text}[.|!|, please.]",
        "[if you can|if possible|when you have time|before I forget|this time|if you do not mind], {text}[.|, please.]",
        "[I think you should|you had better|perhaps you could|maybe you can|I hope you can|you have to] {text}.",
        "[someone has to|we have to|we need to|we had better|it is best to|the plan is to] {text}[.|, please.]",
        "[my wish is|your job is|your task is|the next thing is|it is important|what I want is for you] to {text}.",
        "[kindly|just|simply|quickly|do|please do|please just|pretty please] {text}[.|!]",
        "my [hands are full|hands are wet|feet hurt], so [please |]{text}.",
        "I [cannot do it|am busy|am in a hurry|am too tired], so [please |]{text}[.|!]",
        "[everyone|my family|my boss|grandma] [wants|asks|told] you to {text}.",
        "{text}[, as always|, as soon as possible|, if possible|, it is important], please.",
    ),
    "held_out": (
        "would you {text}?", "would you please {text}?", "okay, {text}.", "I need you to {text}.", "{text} now.",
        "{text} for me.", "hello! Can you {text}?",
    ),
}  # fmt: skip
_JOINS = (" Then ", " And ", " Also, ", " After that, ", " And then ")
_DIRECTIONS = ("north", "south", "east", "west", "left", "right")
Values = Mapping[Slot, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A tool as one row lists it. keys: the name of each parameter by its slot."""

    kind: ToolKind
    name: str
    keys: Mapping[Slot, str]

    @property
    def schema(self) -> dict[str, object]:
        properties = {self.keys[param.slot]: {"type": param.type} for param in self.kind.params}
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
        return {"name": self.name, "description": self.kind.about, "parameters": parameters}

    def call(self, values: Values, *, number: int = 1) -> ToolCall:
        arguments = {self.keys[param.slot]: values[param.slot] for param in self.kind.params}
        return ToolCall(id=f"call_{number}", name=self.name, arguments=arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person wants of a tool: in words that may go on a sentence, and as the call that does it.

    done and said as in Form.
    """

    text: str
    call: ToolCall
    about: str
    done: str
    said: str

    @property
    def reason(self) -> str:
        arguments = listed([f"{key} {spelled(value)}" for key, value in self.call.arguments.items()] or ["nothing"])
        return f"The user wants me to {deed(self.about)}. I call {self.call.name} with {arguments}."


def offer(rng: random.Random, split: Split, count: int, *, first: Sequence[ToolKind] = ()) -> list[Offered]:
    """count tools of different names, those of first in front."""
    kinds = list(first)
    kinds += rng.sample([kind for kind in TOOL_KINDS if kind not in kinds], max(0, count - len(kinds)))
    offered = list[Offered]()
    shared = str(value(rng, split, "device"))  # several tools of one device must be told apart by what they do
    for index, kind in enumerate(kinds):
        if index >= len(first) and rng.random() < _OWN_DEVICE:
            device = shared if rng.random() < _SHARED_DEVICE else str(value(rng, split, "device"))
            kind = device_kind(rng, split, device)
        chosen = _one(rng, split, kind)
        if all(chosen.name != other.name and kind.about != other.kind.about for other in offered):
            offered.append(chosen)
    return offered


def wish(
    rng: random.Random, split: Split, tool: Offered, *, number: int = 1, known: Values = MappingProxyType({})
) -> Wish:
    """Something that tool does; known decides some of the values."""
    form = rng.choice(tool.kind.forms)
    slots = {param.slot for param in tool.kind.params}
    values: dict[Slot, object] = {slot: value(rng, split, slot) for slot in ("room", "degrees", "note", *sorted(slots))}
    values |= {**form.fixed, **known}
    words = {slot: spelled(filled) for slot, filled in values.items()} | {"note2": str(value(rng, split, "note"))}
    done = expand(form.done, words, rng)
    return Wish(
        text=_request(rng, split, form, words),
        call=tool.call(values, number=number),
        about=tool.kind.about,
        done=capital(done),
        said=capital(expand(form.said, words, rng)),
    )


def value(rng: random.Random, split: Split, slot: Slot) -> object:
    """A value for the slot, made up now and then where it is a name."""
    words = LEXICONS[split]
    names: Mapping[Slot, Sequence[str]] = {
        "room": words.rooms, "door": words.doors, "device": words.devices, "label": words.labels, "song": words.songs,
        "city": words.cities, "item": words.items, "note": words.notes, "person": words.people, "crop": words.crops,
        "direction": _DIRECTIONS, "monster": words.monsters,
    }  # fmt: skip
    if slot == "word" or (slot in names and slot not in ("note", "direction") and rng.random() < _MADE_UP):
        word = made_up(rng, split)
        after: Mapping[Slot, str] = {"room": " room", "door": rng.choice((" door", " gate"))}
        is_bare = slot == "room" and split == "train" and rng.random() < _BARE
        return capital(word) if slot in ("song", "city", "person") else word + ("" if is_bare else after.get(slot, ""))
    if slot in names:
        return rng.choice(names[slot])
    if slot == "flag":
        return rng.random() < 0.5
    low, high = {"degrees": (14, 28), "minutes": (2, 90), "count": (2, 20)}.get(slot, (1, 99))
    return rng.randint(low, high)


def deed(about: str) -> str:
    """A tool's description as a verb goes on: set the light of a room."""
    return about[0].lower() + about[1:-1]


def joined(rng: random.Random, wanted: Sequence[Wish]) -> str:
    """Wishes as one request."""
    text = _opening(rng, wanted[0])
    for one in wanted[1:]:
        stop = "" if text[-1] in ".?!" else "."
        if one.text[0].islower() and rng.random() < 0.6:
            text += stop + rng.choice(_JOINS) + one.text
        else:
            text += f"{stop} {_opening(rng, one)}"
    return text.rstrip(".") if rng.random() < _SLOPPY else text


def _opening(rng: random.Random, one: Wish) -> str:
    """With a capital, mostly; never on a name that the call must spell as it is."""
    begins_with_value = any(str(value).startswith(one.text.split()[0]) for value in one.call.arguments.values())
    return one.text if begins_with_value or rng.random() < _SLOPPY else capital(one.text)


def spelled(filled: object) -> str:
    """As a call writes it."""
    return str(filled).lower() if isinstance(filled, bool) else str(filled)


def _request(rng: random.Random, split: Split, form: Form, words: Mapping[str, str]) -> str:
    template = rng.choice(form.train if split == "train" else form.held_out)
    text = expand(template.removeprefix("!"), words, rng)
    if template.startswith("!"):
        text = expand(rng.choice(POLITE[split]), {"text": text}, rng)
    return text


def _one(rng: random.Random, split: Split, kind: ToolKind) -> Offered:
    if rng.random() >= _RENAMED:
        return Offered(kind=kind, name=kind.names[0], keys={param.slot: param.names[0] for param in kind.params})
    name = made_up(rng, split) if rng.random() < _MADE_UP else rng.choice(kind.names)
    keys: dict[Slot, str] = {}
    for param in kind.params:
        free = [key for key in param.names if key not in keys.values()]
        keys[param.slot] = made_up(rng, split) if rng.random() < _MADE_UP else rng.choice(free)
    return Offered(kind=kind, name=name, keys=keys)
