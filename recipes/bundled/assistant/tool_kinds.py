# ruff: noqa: E501 - phrasings are data here, one set of alternatives a line
"""Tools that a home or a game might offer, and how people ask for them. Start at TOOL_KINDS.

A sentence that begins with ! is a command, which asking.py makes polite in its own ways.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Slot = Literal[
    "room", "door", "device", "level", "degrees", "minutes", "label", "song", "city", "item", "note", "flag",
    "person", "direction", "crop", "count", "monster", "word",
]  # fmt: skip
JsonType = Literal["string", "integer", "number", "boolean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """names: the usual one first; the others are used now and then, so that names are read and not remembered."""

    names: tuple[str, ...]
    type: JsonType
    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A way to ask, in grammar.expand's notation with {slot}s; fixed: arguments that its words decide.

    done is what the tool answers, said what one then tells the person.
    """

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    fixed: Mapping[Slot, object] = field(default_factory=lambda: MappingProxyType({}))
    done: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolKind:
    """names as in Param; about says what the tool does, as a command."""

    names: tuple[str, ...]
    about: str
    params: tuple[Param, ...] = ()
    forms: tuple[Form, ...]


def _param(slot: Slot, kind: JsonType, names: str) -> Param:
    return Param(names=tuple(names.split()), type=kind, slot=slot)


def _form(
    train: tuple[str, ...], held_out: tuple[str, ...], done: str, said: str, fixed: Mapping[Slot, object] | None = None
) -> Form:
    return Form(train=train, held_out=held_out, done=done, said=said, fixed=fixed or MappingProxyType({}))


_LABEL = _param("label", "string", "label name title")
LIGHT = ToolKind(
    names=("set_light", "light", "dim_light", "change_light"), about="Set the light of a room.",
    params=(_param("room", "string", "room place where area"), _param("level", "integer", "level brightness percent")),
    forms=(
        _form(("![set|put|turn|change] the {room} light [to|to] {level}[| percent]", "!set the [light|lights|lamp] in the {room} to {level}[| percent]", "{room} light [to|at] {level}", "I want the {room} light at {level}[| percent].", "!dim the {room} light to {level}", "The light in the {room} should go to {level}.", "{level} percent [for|in] the {room}, please.", "!make the {room} light {level} percent bright", "!let the {room} light be at {level}", "!give the {room} {level} percent of light", "I need {level} percent light in the {room}."),
              ("!bring the {room} light to {level}", "I would like the light in the {room} at {level} percent.", "The {room} light should be at {level}."),
              "The {room} light is at {level} %.", "The {room} light is at {level} percent."),
        _form(("![turn|switch] off the {room} light[|s]", "![turn|switch] the {room} light[|s] off", "![turn|switch] the light off in the {room}", "{room} light off", "No light in the {room}[|, please].", "!put out the light in the {room}", "The {room} should be dark.", "I want no light in the {room}.", "The {room} light can go off.", "The light in the {room} is not needed any more.", "I want the {room} light off."),
              ("![turn|switch] off the light in the {room}", "The {room} light should be off."),
              "The {room} light is off.", "The {room} light is off.", {"level": 0}),
        _form(("![turn|switch] on the {room} light[|s]", "![turn|switch] the {room} light[|s] on", "![turn|switch] the light on in the {room}", "{room} light on", "I need light in the {room}.", "The {room} is too dark.", "!let there be light in the {room}", "The {room} needs light.", "I want the {room} light on.", "The light in the {room} should be on now."),
              ("![turn|switch] on the light in the {room}", "The {room} light should be on."),
              "The {room} light is at 100 %.", "The {room} light is on.", {"level": 100}),
    ),
)  # fmt: skip
THERMOSTAT = ToolKind(
    names=("set_thermostat", "set_heating", "heat", "set_temperature"), about="Set the temperature that the heating should reach.",
    params=(_param("degrees", "number", "degrees temperature target"),),
    forms=(
        _form(("![set|put|turn] the [heating|thermostat|temperature] to {degrees}[| degrees]", "Make it {degrees} degrees[| in here].", "![heat|warm] the house to {degrees} degrees", "[Heating|Thermostat] to {degrees}[| degrees]", "I would like {degrees} degrees[| in here].", "The heating should be at {degrees}[| degrees].", "!bring the [house|heating] to {degrees} degrees", "I need it at {degrees} degrees.", "{degrees} degrees would be nice.", "!let the heating go up or down to {degrees}"),
              ("I want the heating at {degrees} degrees.", "!let the thermostat go to {degrees} degrees"),
              "The thermostat is set to {degrees} degrees.", "The heating is set to {degrees} degrees."),
    ),
)  # fmt: skip
LOCK = ToolKind(
    names=("lock_door", "door_lock", "set_lock", "secure"), about="Lock or unlock a door.",
    params=(_param("door", "string", "door name which"), _param("flag", "boolean", "locked lock closed")),
    forms=(
        _form(("!lock the {door}", "I want the {door} locked.", "Is the {door} open? Then lock it.", "!close the lock of the {door}", "The {door} must be locked.", "!see to it that the {door} gets locked", "Nobody should come in by the {door}: lock it.", "I need the {door} to be locked."), ("The {door} should be locked.", "!make sure that the {door} is locked"),
              "The {door} is locked.", "The {door} is locked.", {"flag": True}),
        _form(("!unlock the {door}", "I want the {door} unlocked.", "!open the lock of the {door}", "The {door} must be open: unlock it.", "!see to it that the {door} gets unlocked", "I need the {door} to be unlocked.", "!take the lock off the {door}", "I have to get through the {door}. Unlock it."), ("The {door} should be unlocked.", "!make sure that the {door} is unlocked"),
              "The {door} is unlocked.", "The {door} is unlocked.", {"flag": False}),
    ),
)  # fmt: skip
START_TIMER = ToolKind(
    names=("start_timer", "timer", "set_timer", "new_timer"), about="Start a timer.",
    params=(_LABEL, _param("minutes", "integer", "minutes time length")),
    forms=(
        _form(("![start|set] a timer for {minutes} minutes [called|named|for] {label}", "![start|set] a {minutes} minute timer for {label}", "![start|set] a timer [called|named] {label} for {minutes} minutes", "Timer for {label}, {minutes} minutes", "I want a timer [for|called] {label}, {minutes} minutes.", "!give me a {label} timer of {minutes} minutes", "The {label} timer should run for {minutes} minutes.", "{minutes} minutes for {label}, please.", "!remind me of {label} in {minutes} minutes", "!have a timer named {label} run {minutes} minutes"),
              ("I need a timer for {label}, {minutes} minutes.", "!let a {label} timer run for {minutes} minutes"),
              "Timer '{label}' rings in {minutes} min.", "The {label} timer rings in {minutes} minutes."),
    ),
)  # fmt: skip
CANCEL_TIMER = ToolKind(
    names=("cancel_timer", "stop_timer", "end_timer"), about="Cancel a timer.", params=(_LABEL,),
    forms=(
        _form(("![cancel|stop|end] the {label} timer", "![cancel|stop] the timer for {label}", "I do not need the {label} timer any more.", "The {label} timer should stop.", "!delete the {label} timer", "I want the {label} timer gone.", "No {label} timer any more, please.", "!take away the timer for {label}", "The timer for {label} can end."), ("The {label} timer can stop now.", "!remove the {label} timer"),
              "Timer '{label}' is cancelled.", "The {label} timer is cancelled."),
    ),
)  # fmt: skip
TOOL_KINDS = (
    LIGHT, THERMOSTAT, LOCK, START_TIMER, CANCEL_TIMER,
    ToolKind(
        names=("home_status", "status", "look_home"), about="Tell the state of the home: time, lights, temperatures, doors, timers.",
        forms=(_form(("How is the home?", "!show me the state of the home", "What is going on at home?", "!tell me the state of the house", "!tell me how all is at home", "!look at the home", "Is all well at home?", "!give me the state of the house", "What is the state of the home?"), ("How is everything at home?", "!check the state of the home"),
                     "All is well at home.", "All is well at home."),),
    ),
    ToolKind(
        names=("play_music", "play", "start_song", "play_song"), about="Play a song.", params=(_param("song", "string", "song title music"),),
        forms=(_form(("!play {song}", "!put on {song}", "!play the song {song}", "I want to hear {song}.", "{song} should play.", "I need to hear {song}.", "!start the song {song}", "!let {song} play", "It is time for {song}."), ("I would like to listen to {song}.", "!let me hear the song {song}"),
                     "Playing {song}.", "Now playing {song}."),),
    ),
    ToolKind(
        names=("stop_music", "silence", "music_off"), about="Stop the music.",
        forms=(_form(("!stop the music", "!turn off the music", "Music off", "No more music, please.", "The music must end.", "!let the music stop", "I need silence: stop the music.", "I want the music off.", "It is time to turn the music off."), ("The music should stop.", "!end the music"), "The music has stopped.", "The music is off."),),
    ),
    ToolKind(
        names=("set_volume", "volume", "loudness"), about="Set the volume of the music.", params=(_param("level", "integer", "level volume value"),),
        forms=(_form(("![set|turn|put] the volume to {level}", "Volume {level}", "!bring the volume to {level}", "I would like the volume to be {level}.", "The music should be at volume {level}.", "!let the volume be {level}", "The volume needs to be at {level}.", "![make|set] the music [louder|softer], to {level}"), ("I want the volume at {level}.", "The volume should be {level}."),
                     "The volume is {level}.", "The volume is at {level}."),),
    ),
    ToolKind(
        names=("get_weather", "weather", "look_up_weather"), about="Tell the weather in a city.", params=(_param("city", "string", "city place town"),),
        forms=(_form(("[What is|How is|What's] the weather [in|like in] {city}?", "[Is it raining|Is it cold|Is it sunny] in {city}?", "Weather in {city}", "!check the weather in {city}", "How does the weather look in {city}?", "I need the weather for {city}.", "Does it rain in {city}?", "What kind of weather is there in {city}?", "!tell me the weather in {city}"), ("Which weather does {city} have?", "!look up the weather for {city}"),
                     "{city}: [sunny|rain|cloudy|windy], {degrees} degrees.", "It has {degrees} degrees in {city}."),),
    ),
    ToolKind(
        names=("add_note", "write_note", "remember", "new_note"), about="Write a note.", params=(_param("note", "string", "text note content"),),
        forms=(_form(("![add|make|write] a note: {note}", "[Note|Write down|Note down]: {note}", "!write down: {note}", "New note: {note}", "I want a note: {note}", "!take a note: {note}", "!note this: {note}", "There should be a note: {note}", "!put this in my notes: {note}"), ("I need a note: {note}", "!keep a note that says: {note}"),
                     "Noted: {note}.", "I wrote down: {note}."),),
    ),
    ToolKind(
        names=("read_notes", "notes", "show_notes"), about="Read all notes.",
        forms=(_form(("!read my notes", "What are my notes?", "!show me my notes", "What did I write down?", "!read the notes to me", "What is in my notes?", "I want to hear my notes.", "!go through my notes", "Which things did I note?"), ("Which notes do I have?", "!read out the notes"), "Notes: {note}; {note2}.", "Your notes are: {note} and {note2}."),),
    ),
    ToolKind(
        names=("add_to_list", "buy", "list_add", "shopping"), about="Put something on the shopping list.", params=(_param("item", "string", "item thing product"),),
        forms=(_form(("![add|put] {item} [to|on] [the|my] shopping list", "[We need|I need to buy] {item}.", "!put {item} on the list", "I want {item} on the list.", "We are out of {item}.", "The list needs {item}.", "!have {item} on the list", "!get {item} on the shopping list"), ("{item} should be on the shopping list.", "!write {item} on the shopping list"),
                     "{item} is on the list.", "I put {item} on the list."),),
    ),
    ToolKind(
        names=("open_blinds", "blinds", "set_blinds"), about="Open the blinds of a room.", params=(_param("room", "string", "room place where"), _param("level", "integer", "percent level amount")),
        forms=(_form(("!open the {room} blinds to {level}[| percent]", "!open the blinds in the {room} to {level}[| percent]", "{room} blinds to {level}", "The {room} blinds should be at {level}[| percent].", "!set the {room} blinds to {level}", "I need the blinds of the {room} at {level}.", "!move the {room} blinds to {level}"), ("!bring the {room} blinds to {level}", "I want the {room} blinds at {level}."),
                     "The {room} blinds are open to {level} %.", "The {room} blinds are open to {level} percent."),),
    ),
    ToolKind(
        names=("vacuum", "clean_room", "clean"), about="Clean a room with the vacuum robot.", params=(_param("room", "string", "room place where area"),),
        forms=(_form(("![clean|vacuum] the {room}", "The {room} is dirty[.|. Clean it.]", "!send the vacuum [robot |]to the {room}", "I want the {room} clean.", "The {room} should be vacuumed.", "!have the {room} cleaned", "The {room} needs cleaning.", "It is time to clean the {room}."), ("The {room} floor needs a vacuum.", "!let the vacuum robot clean the {room}"),
                     "Cleaning the {room}.", "The robot is cleaning the {room}."),),
    ),
    ToolKind(
        names=("send_message", "message", "write_to", "text"), about="Send a message to a person.", params=(_param("person", "string", "person to name"), _param("note", "string", "text message words")),
        forms=(_form(("![send|write] {person} a message: {note}", "Message to {person}: {note}", "!tell {person}: {note}", "I want {person} to read this: {note}", "!write to {person}: {note}", "!pass this on to {person}: {note}", "{person} needs to know: {note}", "!give {person} this message: {note}"), ("{person} should get this message: {note}", "!let {person} know: {note}"),
                     "Sent to {person}.", "I sent your message to {person}."),),
    ),
    ToolKind(
        names=("call_person", "phone", "call"), about="Call a person on the phone.", params=(_param("person", "string", "person who name"),),
        forms=(_form(("![call|phone] {person}", "I want to talk to {person}.", "!call {person} on the phone", "!give {person} a call", "!ring {person}", "I have to talk to {person}.", "I want {person} on the phone.", "{person} should get a call."), ("I need to call {person}.", "!get {person} on the phone"), "Calling {person}.", "I am calling {person}."),),
    ),
    ToolKind(
        names=("move", "walk", "go", "step"), about="Move in the game.", params=(_param("direction", "string", "direction way where"), _param("count", "integer", "steps count number")),
        forms=(_form(("![move|walk|go] {count} steps {direction}", "![move|go] {direction} {count} steps", "{count} steps {direction}", "I need to go {count} steps {direction}.", "!take {count} steps {direction}", "!go {direction} by {count} steps", "I want to go {direction}: {count} steps."), ("I want to move {direction}, {count} steps.", "!make {count} steps {direction}"),
                     "You moved {count} steps {direction}.", "You are {count} steps further {direction}."),),
    ),
    ToolKind(
        names=("attack", "fight", "hit"), about="Attack a monster in the game.", params=(_param("monster", "string", "target monster enemy"),),
        forms=(_form(("![attack|fight|hit] the {monster}", "There is a(n) {monster}. Attack it!", "!fight against the {monster}", "!kill the {monster}", "The {monster} should be hit.", "I want to fight the {monster}.", "It is time to fight the {monster}.", "!go against the {monster}"), ("The {monster} must be attacked.", "!start a fight with the {monster}"), "You hit the {monster}.", "You hit the {monster}."),),
    ),
    ToolKind(
        names=("plant", "sow", "plant_seeds"), about="Plant seeds on the farm.", params=(_param("crop", "string", "crop plant seeds"), _param("count", "integer", "count number amount")),
        forms=(_form(("!plant {count} {crop}", "!sow {count} {crop}[| on the farm]", "I want to plant {count} {crop}.", "The field needs {count} {crop}.", "!put in {count} {crop}", "!have {count} {crop} planted", "It is time to plant {count} {crop}.", "I need to plant {count} {crop}."), ("{count} {crop} should be planted.", "!put {count} {crop} in the soil"), "Planted {count} {crop}.", "I planted {count} {crop}."),),
    ),
    ToolKind(
        names=("water_plants", "water", "pour"), about="Water all plants on the farm.",
        forms=(_form(("!water the plants", "!water all plants[| on the farm]", "!pour water on the plants", "It is time to water the plants.", "The plants should get water.", "I want the plants watered.", "The plants are dry[.|. Water them.]"), ("The plants need water.", "!give water to the plants"), "All plants are watered.", "All plants have water now."),),
    ),
    ToolKind(
        names=("harvest", "pick", "reap"), about="Harvest a crop on the farm.", params=(_param("crop", "string", "crop plant what"),),
        forms=(_form(("![harvest|pick] the {crop}", "The {crop} are ripe. Harvest them.", "!bring in the {crop}", "I want to harvest the {crop}.", "The {crop} should be harvested.", "!take in the {crop}", "The {crop} are ready to be harvested.", "I need to harvest the {crop}."), ("It is time to harvest the {crop}.", "!harvest all the {crop}"), "Harvested the {crop}.", "I harvested the {crop}."),),
    ),
    ToolKind(
        names=("sell", "trade", "sell_crop"), about="Sell a crop at the market.", params=(_param("crop", "string", "crop item what"), _param("count", "integer", "count number amount")),
        forms=(_form(("!sell {count} {crop}", "!sell {count} {crop} at the market", "I want to sell {count} {crop}.", "I need to sell {count} {crop}.", "!offer {count} {crop} at the market", "{count} {crop} can be sold.", "!have {count} {crop} sold", "It is time to sell {count} {crop}."), ("{count} {crop} should be sold.", "!bring {count} {crop} to the market and sell them"), "Sold {count} {crop}.", "I sold {count} {crop}."),),
    ),
)  # fmt: skip
