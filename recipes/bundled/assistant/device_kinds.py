# ruff: noqa: E501 - phrasings are data here, one set of alternatives a line
"""Tools of one device, made on the spot: nobody can know them by heart. Start at device_kind."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from recipes.bundled.assistant.lexicon import LEXICONS, name_of
from recipes.bundled.assistant.row import Split
from recipes.bundled.assistant.tool_kinds import Form, Param, ToolKind
from recipes.bundled.grammar import capital


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """A Form of any device: @ stands for it, # for its setting or its verb, ## for how the verb leaves it."""

    about: str
    names: str
    param: Param | None = None
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    done: str
    said: str


_SETTING = _Shape(
    about="Set the # of the @.", names="set_@ @_# change_@",
    param=Param(names=("#", "value", "number", "to"), type="integer", slot="level"),
    train=("!set the # of the @ to {level}", "!turn the @ # to {level}", "@ # {level}", "I want the # of the @ at {level}.", "!bring the @ # to {level}", "The # of the @ must be {level}.", "I need {level} as the # of the @.", "!let the @ # be {level}",
           "!change the @ # to {level}", "!adjust the # of the @ to {level}", "!give the @ a # of {level}", "The @ needs a # of {level}.", "The @ should have a # of {level}.", "[How about|What about] {level} as the # of the @?", "{level} is the right # for the @.", "!make the # of the @ {level}",
           "@: # {level}", "{level} for the # of the @[|, please].", "!have the @ run at # {level}", "The # of the @ ought to be {level}.", "I would like the @ # to be {level}.", "!raise or lower the # of the @ to {level}", "!put the # of the @ [to|on] {level}", "Is a # of {level} possible for the @?"),
    held_out=("!put the # of the @ at {level}", "The @ # should be {level}."),
    done="The # of the @ is {level}.", said="The # of the @ is at {level}.",
)  # fmt: skip
_PLACE = _Shape(
    about="Bring the @ to a room.", names="move_@ bring_@ @_to",
    param=Param(names=("room", "place", "where", "to"), type="string", slot="room"),
    train=("!bring the @ to the {room}", "!move the @ to the {room}", "I want the @ in the {room}.", "!carry the @ to the {room}", "I need the @ in the {room}.", "The @ belongs in the {room}.", "!put the @ in the {room}",
           "The @ has to go to the {room}.", "The {room} needs the @.", "The {room} is where I want the @.", "!let the @ stand in the {room}", "!have the @ moved to the {room}", "!get the @ into the {room}", "The @ must be moved to the {room}.", "Could the @ go to the {room}?", "Somebody in the {room} needs the @.", "!push the @ over to the {room}", "The right place for the @ is the {room}.", "To the {room} with the @[|, please]."),
    held_out=("!take the @ to the {room}", "The @ should be in the {room}."),
    done="The @ is in the {room}.", said="The @ is in the {room} now.",
)  # fmt: skip
_DEED = _Shape(
    about="{#} the @.", names="#_@ @_#",
    train=("!# the @", "I want to # the @.", "I need to # the @.", "!try to # the @", "It would be good to # the @.", "You should # the @.", "Time to # the @.",
           "We have to # the @.", "Will somebody # the @?", "What I want is to # the @.", "Is it possible to # the @?", "@: #[|, please].", "Somebody has to # the @[| today].", "!# the @ for [me|us|Mum]", "How about we # the @?", "My wish is to # the @.", "Do you think you can # the @?", "I would like to # the @.", "The thing to do is # the @.", "!see to it that we # the @", "Let me # the @.", "Next, # the @."),
    held_out=("It is time to # the @.", "!go and # the @"),
    done="The @ is ##.", said="The @ is ##.",
)  # fmt: skip
_GIFT = _Shape(
    about="Give the @ to somebody.", names="give_@ hand_@ @_to",
    param=Param(names=("person", "who", "to", "name"), type="string", slot="person"),
    train=("!give the @ to {person}", "!hand the @ to {person}", "{person} [needs|wants|should have|would like] the @.", "!let {person} have the @", "The @ is for {person}.", "!pass the @ on to {person}", "!give {person} the @", "The @ goes to {person}."),
    held_out=(), done="{person} has the @.", said="{person} has the @ now.",
)  # fmt: skip
_FILLING = _Shape(
    about="Fill the @ with something.", names="fill_@ @_fill load_@",
    param=Param(names=("item", "what", "with", "content"), type="string", slot="item"),
    train=("!fill the @ with {item}", "!put {item} [into|in] the @", "The @ needs {item}.", "I want {item} in the @.", "There should be {item} in the @.", "{item} into the @[|, please].", "!load the @ with {item}", "The @ should be filled with {item}."),
    held_out=(), done="The @ is filled with {item}.", said="The @ is full of {item}.",
)  # fmt: skip
_RUN = _Shape(
    about="Let the @ run for some minutes.", names="run_@ @_run time_@",
    param=Param(names=("minutes", "time", "duration", "how_long"), type="integer", slot="minutes"),
    train=("!run the @ for {minutes} minutes", "!let the @ run for {minutes} minutes", "!let the @ work {minutes} minutes", "The @ should run for {minutes} minutes.", "{minutes} minutes of the @[|, please].", "I need the @ for {minutes} minutes.", "@ for {minutes} minutes", "!keep the @ running for {minutes} minutes"),
    held_out=(), done="The @ runs for {minutes} minutes.", said="The @ runs for {minutes} minutes.",
)  # fmt: skip
_OLD_DEEDS = (("start", "on"), ("stop", "off"), ("clean", "clean"), ("check", "fine"), ("reset", "reset"))
_DEEDS: Mapping[Split, tuple[tuple[str, str], ...]] = {
    "train": (
        *_OLD_DEEDS, ("open", "open"), ("close", "closed"), ("empty", "empty"), ("charge", "charged"), ("wash", "washed"), ("polish", "polished"), ("lift", "up"), ("lower", "down"), ("fold", "folded"), ("paint", "painted"), ("warm up", "warm"), ("cool down", "cool"), ("shake", "shaken"),
        ("tune", "tuned"), ("test", "tested"), ("pause", "paused"), ("dry", "dry"), ("cover", "covered"), ("oil", "oiled"), ("unplug", "unplugged"), ("repair", "repaired"), ("update", "up to date"), ("turn around", "turned around"), ("hide", "hidden"), ("show", "there"), ("count", "counted"), ("sort", "sorted"), ("wake", "awake"), ("connect", "connected"), ("replace", "new"), ("inspect", "fine"), ("sell", "sold"), ("weigh", "weighed"), ("wrap", "wrapped"), ("tidy up", "tidy"),
    ),
    "held_out": _OLD_DEEDS,
}  # fmt: skip
_SHAPES: Mapping[Split, tuple[_Shape, ...]] = {
    "train": (_SETTING, _PLACE, _DEED, _DEED, _DEED, _GIFT, _FILLING, _RUN),
    "held_out": (_SETTING, _PLACE, _DEED, _DEED),
}


def device_kind(rng: random.Random, split: Split, device: str) -> ToolKind:
    """A tool of one device, such as set_fan(speed), start_oven(), move_lamp(room)."""
    setting = name_of(rng, split, LEXICONS[split].settings)
    shape = rng.choice(_SHAPES[split])
    word, left = rng.choice(_DEEDS[split]) if shape is _DEED else (setting, "")

    def own(text: str) -> str:
        return text.replace("##", left).replace("{#}", capital(word)).replace("#", word).replace("@", device)

    def spelling(text: str) -> str:
        return own(text).replace(" ", "_")

    param = shape.param
    params = (
        () if param is None else (Param(names=tuple(map(spelling, param.names)), type=param.type, slot=param.slot),)
    )
    form = Form(
        train=tuple(map(own, shape.train)), held_out=tuple(map(own, shape.held_out)), done=own(shape.done), said=own(shape.said)
    )  # fmt: skip
    names = tuple(spelling(name) for name in shape.names.split())
    return ToolKind(names=names, about=own(shape.about), params=params, forms=(form,))
