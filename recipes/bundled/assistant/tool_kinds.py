# ruff: noqa: E501 - phrasings are data here, one set of alternatives a line
"""Tools that a home might offer, and how people ask for them. Start at TOOL_KINDS.

A form is a way to ask: some arguments are fixed by its words, the others are filled in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Slot = Literal[
    "room", "door", "device", "level", "degrees", "minutes", "label", "song", "city", "item", "note", "flag", "percent"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """names: the usual name first; others are used now and then, so that names are read and not remembered."""

    names: tuple[str, ...]
    type: Literal["string", "integer", "number", "boolean"]
    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Sentences in grammar.expand's notation with {slot}s; done is what the tool answers, said what one then says."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    fixed: Mapping[Slot, object] = field(default_factory=dict)
    done: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolKind:
    """names as in Param."""

    names: tuple[str, ...]
    about: str
    params: tuple[Param, ...]
    forms: tuple[Form, ...]


_ROOM = Param(names=("room", "place", "where", "area"), type="string", slot="room")
_LABEL = Param(names=("label", "name", "title"), type="string", slot="label")
TOOL_KINDS = (
    ToolKind(
        names=("set_light", "light", "dim_light", "change_light"), about="Set the light of a room.",
        params=(_ROOM, Param(names=("level", "brightness", "percent"), type="integer", slot="level")),
        forms=(
            Form(train=("[Set|Put|Turn] the {room} light [to|at] {level}[.|, please.||]", "[Please ||]set the light in the {room} to {level}[.|]", "Make the {room} light {level} percent."),
                 held_out=("I would like {level} percent light in the {room}.", "Could you dim the {room} to {level}?"),
                 done="The {room} light is at {level} %.", said="The {room} light is at {level} percent."),
            Form(train=("[Turn|Switch] off the {room} light[.|, please.|]", "[Turn|Switch] the light off in the {room}.", "{room} light off"),
                 held_out=("Make it dark in the {room}.", "No light in the {room}, please."), fixed={"level": 0},
                 done="The {room} light is off.", said="The {room} light is off."),
            Form(train=("[Turn|Switch] on the {room} light[.|, please.|]", "[Turn|Switch] the light on in the {room}.", "{room} light on"),
                 held_out=("I need full light in the {room}.",), fixed={"level": 100},
                 done="The {room} light is at 100 %.", said="The {room} light is on."),
        ),
    ),
    ToolKind(
        names=("set_thermostat", "set_heating", "heat"), about="Set the temperature that the heating should reach.",
        params=(Param(names=("degrees", "temperature", "target"), type="number", slot="degrees"),),
        forms=(
            Form(train=("[Set|Put] the [heating|thermostat|temperature] to {degrees}[ degrees|][.|]", "Make it {degrees} degrees[ in here|].", "[Heat|Warm] the house to {degrees} degrees."),
                 held_out=("I want the house at {degrees} degrees.", "Please let the heating go to {degrees}."),
                 done="The thermostat is set to {degrees} degrees.", said="The heating is set to {degrees} degrees."),
        ),
    ),
    ToolKind(
        names=("lock_door", "door_lock", "set_lock"), about="Lock or unlock a door.",
        params=(Param(names=("door", "name", "which"), type="string", slot="door"), Param(names=("locked", "lock", "closed"), type="boolean", slot="flag")),
        forms=(
            Form(train=("[Lock|Please lock|Can you lock] the {door}[.|]",), held_out=("Make sure that the {door} is locked.", "Nobody should come in by the {door}."),
                 fixed={"flag": True}, done="The {door} is locked.", said="The {door} is locked."),
            Form(train=("[Unlock|Please unlock|Open the lock of] the {door}[.|]",), held_out=("Please let me in by the {door}.", "The {door} should not be locked."),
                 fixed={"flag": False}, done="The {door} is unlocked.", said="The {door} is unlocked."),
        ),
    ),
    ToolKind(
        names=("start_timer", "timer", "set_timer", "new_timer"), about="Start a timer.",
        params=(_LABEL, Param(names=("minutes", "time", "length"), type="integer", slot="minutes")),
        forms=(
            Form(train=("[Start|Set] a timer for {minutes} minutes[ called| named] {label}[.|]", "[Start|Set] a {minutes} minute timer for[ the|] {label}[.|]", "Timer for {label}, {minutes} minutes[.|]"),
                 held_out=("Tell me in {minutes} minutes about the {label}.", "I need a {label} timer of {minutes} minutes."),
                 done="Timer '{label}' rings in {minutes} min.", said="The {label} timer rings in {minutes} minutes."),
        ),
    ),
    ToolKind(
        names=("play_music", "play", "start_song"), about="Play a song.",
        params=(Param(names=("song", "title", "music"), type="string", slot="song"),),
        forms=(
            Form(train=("[Play|Please play|Can you play|Put on] {song}[.|]", "I want to hear {song}."), held_out=("Let me listen to {song}.", "How about {song} on the speaker?"),
                 done="Playing {song}.", said="Now playing {song}."),
        ),
    ),
    ToolKind(
        names=("get_weather", "weather", "look_up_weather"), about="Tell the weather in a city.",
        params=(Param(names=("city", "place", "town"), type="string", slot="city"),),
        forms=(
            Form(train=("[What is|How is] the weather in {city}?", "[Is it raining|Is it cold|Is it sunny] in {city}?", "Weather in {city}[?|]"), held_out=("Do I need a coat in {city}?", "Tell me how warm it is in {city}."),
                 done="{city}: sunny, 18 degrees.", said="It is sunny in {city}, with 18 degrees."),
        ),
    ),
    ToolKind(
        names=("add_note", "write_note", "remember"), about="Write a note.",
        params=(Param(names=("text", "note", "content"), type="string", slot="note"),),
        forms=(
            Form(train=("[Add|Make|Write] a note: {note}[.|]", "[Note|Write down]: {note}", "Remind me to {note}."), held_out=("Do not let me forget: {note}", "Please keep a note that says {note}."),
                 done="Noted: {note}.", said="I wrote it down: {note}."),
        ),
    ),
    ToolKind(
        names=("add_to_list", "buy", "list_add"), about="Put something on the shopping list.",
        params=(Param(names=("item", "thing", "product"), type="string", slot="item"),),
        forms=(
            Form(train=("[Add|Put] {item} [to|on] [the|my] shopping list[.|]", "[We need|I need to buy|Buy] {item}[.|]"), held_out=("We are out of {item}.", "The list should have {item}."),
                 done="{item} is on the list.", said="I put {item} on the list."),
        ),
    ),
)  # fmt: skip
