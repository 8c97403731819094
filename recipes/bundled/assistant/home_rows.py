"""Rows in the home of worlds/home.py, with its own tools and its own words: acting, asking, and what is not there.

Every result is what the simulated home really answers. Start at act, status and missing.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mambino.chat.builtin_tools.home import SimulatedHome, home_tools
from mambino.chat.messages import Message, ToolCall
from mambino.worlds.home import Home, Outcome, Timer, new_home
from recipes.bundled import smalltalk
from recipes.bundled.assistant.asking import Offered, Values, joined, value, wish
from recipes.bundled.assistant.home_questions import ask
from recipes.bundled.assistant.lexicon import listed
from recipes.bundled.assistant.personas import system_text
from recipes.bundled.assistant.row import Abstain, Calls, Check, NoCall, Row, Says, Split
from recipes.bundled.assistant.tool_kinds import CANCEL_TIMER, LIGHT, LOCK, START_TIMER, THERMOSTAT, ToolKind
from recipes.bundled.assistant.tool_rows import THINKS, calling

_SCHEMAS = tuple(tool.schema for tool in home_tools(SimulatedHome(new_home(0))))
ALL_LIGHTS: Mapping[Split, tuple[str, ...]] = {
    "train": (
        "Turn all lights {}.",
        "Switch {0} all lights, please.",
        "All lights {}.",
        "Can you turn {0} every light?",
        "Every lamp {}.",
        "Please switch the lights {0} everywhere.",
        "Turn the lights {0} in the whole house.",
        "Make sure that all lights are {0}.",
        "The lights should be {0} in all of the house.",
        "Lights {0} everywhere!",
        "I would like every light to be {0}.",
        "Switch all of them {0}, all the lights.",
        "All the rooms should have their light {0}.",
        "Each room: light {0}.",
        "Go through all rooms and turn the light {0}.",
    ),
    "held_out": ("Turn {0} the lights in all rooms.", "I want all lights {}.", "Every light {}, please."),
}
_ALL_LIGHTS = 0.12
_STOPS_AT_CALL = 0.35  # of rows end with the call, the others with what is told of its result
_ACTIONS: Mapping[str, Callable[[Home, Mapping[str, object]], Outcome]] = {
    "set_light": lambda home, given: home.set_light(str(given["room"]), int(str(given["level"]))),
    "set_thermostat": lambda home, given: home.set_target(float(str(given["degrees"]))),
    "lock_door": lambda home, given: home.set_lock(str(given["door"]), bool(given["locked"])),
    "start_timer": lambda home, given: home.start_timer(str(given["label"]), int(str(given["minutes"]))),
    "cancel_timer": lambda home, given: home.cancel_timer(str(given["label"])),
}


@dataclass(slots=True)
class _Talk:
    """A conversation as it grows. knows: the system prompt lists the rooms and doors."""

    rng: random.Random
    split: Split
    home: Home
    knows: bool
    thinks: bool
    messages: list[Message]
    check: Check

    def say(self, text: str, reason: str, check: Check) -> None:
        self.messages.append(Message(role="assistant", content=text, reasoning=reason if self.thinks else None))
        self.check = check

    def call(self, question: str, answer: Message) -> None:
        self.messages += [Message(role="user", content=question), answer]
        self.check = Calls(calls=answer.tool_calls)

    def result(self, text: str, call: ToolCall) -> None:
        self.messages.append(Message(role="tool", content=text, tool_call_id=call.id))


def act(rng: random.Random, split: Split) -> Row:
    """Something in the home is changed."""
    return _one(rng, split, "home", _act)


def status(rng: random.Random, split: Split) -> Row:
    """A question about the home: its state is looked up, and the answer stands in it."""
    return _one(rng, split, "status", _status)


def missing(rng: random.Random, split: Split) -> Row:
    """A room, a door or a timer that is not there, or a value that is not possible: it is said, and nothing is done."""
    return _one(rng, split, "missing", _missing)


def drill(rng: random.Random, split: Split, turns: int) -> Row:
    """As many of the three above, each left at its call or its answer; thinking off."""
    talk = _talk(rng, split, knows=rng.random() < 0.75, thinks=False)
    for _ in range(turns):
        rng.choice((_act, _act, _act, _status, _missing))(talk, True)
    return _row(talk, "home")


def _one(rng: random.Random, split: Split, kind: str, last: Callable[[_Talk, bool], None]) -> Row:
    talk = _talk(rng, split, knows=rng.random() < 0.5, thinks=rng.random() < THINKS)
    for _ in range(rng.choice((0, 0, 0, 1, 1))):
        rng.choice((_act, _act, _status, _missing, _small_talk))(talk, False)
    last(talk, rng.random() < _STOPS_AT_CALL)
    return _row(talk, kind)


def _talk(rng: random.Random, split: Split, *, knows: bool, thinks: bool) -> _Talk:
    home = _home(rng, split)
    system = rng.choice(
        (system_text("keeper"), "You are mambino, the assistant of a home.", "You help at home.", "", "")
    )
    if knows:
        system = f"{system} Rooms: {', '.join(home.lights)}. Doors: {', '.join(home.locked)}.".strip()
    messages = [Message(role="system", content=system)] if system else []
    return _Talk(rng, split, home, knows, thinks, messages, Abstain())


def _row(talk: _Talk, kind: str) -> Row:
    tools = list(_SCHEMAS)
    if talk.rng.random() < 0.3:
        talk.rng.shuffle(tools)
    return Row(kind=kind, messages=tuple(talk.messages), tools=tuple(tools), check=talk.check)


def _home(rng: random.Random, split: Split) -> Home:
    rooms = list(dict.fromkeys(str(value(rng, split, "room")) for _ in range(rng.randint(2, 4))))
    doors = list(dict.fromkeys(str(value(rng, split, "door")) for _ in range(rng.randint(1, 3))))
    clock = rng.randrange(6 * 60, 23 * 60)
    labels = list(dict.fromkeys(str(value(rng, split, "label")) for _ in range(rng.randint(0, 2))))
    return Home(
        clock=clock,
        lights={room: rng.choice((0, 0, rng.randint(1, 99), 100)) for room in rooms},
        temperatures={room: rng.randrange(150, 250) / 10 for room in rooms},
        locked={door: rng.random() < 0.5 for door in doors},
        target=float(rng.randrange(16, 25)),
        timers=tuple(Timer(label=label, ends_at=clock + rng.randint(1, 60)) for label in labels),
    )


def _act(talk: _Talk, stops: bool) -> None:
    """One or two changes that are possible, or all lights at once. Mutates talk."""
    rng, home = talk.rng, talk.home
    if talk.knows and rng.random() < _ALL_LIGHTS:
        _all_lights(talk, stops)
        return
    kinds: list[tuple[ToolKind, Values]] = [
        (LIGHT, {"room": rng.choice(list(home.lights))}), (THERMOSTAT, {}), (START_TIMER, {}),
        (LOCK, {"door": rng.choice(list(home.locked))}),
    ]  # fmt: skip
    if home.timers:
        kinds.append((CANCEL_TIMER, {"label": rng.choice(home.timers).label}))
    chosen = rng.sample(kinds, rng.choice((1, 1, 1, 2)))
    wanted = [
        wish(rng, talk.split, _usual(kind), number=number, known=known)
        for number, (kind, known) in enumerate(chosen, 1)
    ]
    answer = calling(talk.thinks, wanted)
    named = [(slot, str(name)) for _, known in chosen for slot, name in known.items() if slot in ("room", "door")]
    if talk.thinks and talk.knows and named:
        looked = [_looked(talk, slot, name) for slot, name in named]
        answer = replace(answer, reasoning=" ".join([*looked, str(answer.reasoning)]))
    talk.call(joined(rng, wanted), answer)
    if stops:
        return
    told = list[str]()
    for one in wanted:
        outcome = _ACTIONS[one.call.name](talk.home, one.call.arguments)
        talk.home = outcome.home
        talk.result(outcome.text, one.call)
        told.append(outcome.text if " already " in outcome.text else one.said)
    talk.say(" ".join(told), "It is done. I tell the user.", Says(facts=tuple((text.rstrip("."),) for text in told)))


def _all_lights(talk: _Talk, stops: bool) -> None:
    """A call for each room that the prompt lists. Mutates talk."""
    level, said = talk.rng.choice(((0, "off"), (100, "on")))
    calls = [
        ToolCall(id=f"call_{number}", name="set_light", arguments={"room": room, "level": level})
        for number, room in enumerate(talk.home.lights, 1)
    ]
    question = talk.rng.choice(ALL_LIGHTS[talk.split]).format(said)
    reason = f"The rooms are {listed(list(talk.home.lights))}. I call set_light with level {level} for each."
    reasoning = reason if talk.thinks else None
    talk.call(question, Message(role="assistant", content="", reasoning=reasoning, tool_calls=tuple(calls)))
    if stops:
        return
    for call in calls:
        outcome = _ACTIONS[call.name](talk.home, call.arguments)
        talk.home = outcome.home
        talk.result(outcome.text, call)
    talk.say(f"All lights are {said}.", "It is done. I tell the user.", Says(facts=((f"are {said}",),)))


def _status(talk: _Talk, stops: bool) -> None:
    """Mutates talk."""
    asked = ask(talk.rng, talk.split, talk.home)
    call = ToolCall(id="call_1", name="home_status", arguments={})
    reason = "The user asks about the home. I call home_status to look."
    talk.call(
        asked.question,
        Message(role="assistant", content="", reasoning=reason if talk.thinks else None, tool_calls=(call,)),
    )
    if stops:
        return
    talk.result(talk.home.describe(), call)
    talk.say(asked.answer, f"The state says: {asked.line}.", Says(facts=asked.facts))


def _missing(talk: _Talk, stops: bool) -> None:
    """Mutates talk. Where the prompt lists what there is, nothing is called."""
    rng, home = talk.rng, talk.home
    which = rng.choice(("room", "room", "room", "door", "door", "timer", "range"))
    if which == "range":
        _impossible(talk, stops)
        return
    kind = {"room": LIGHT, "door": LOCK, "timer": CANCEL_TIMER}[which]
    slot = kind.params[0].slot
    there = {"room": list(home.lights), "door": list(home.locked), "timer": [one.label for one in home.timers]}[which]
    name = str(value(rng, talk.split, slot))
    while name in there:
        name = str(value(rng, talk.split, slot))
    wanted = wish(rng, talk.split, _usual(kind), known={slot: name})
    suffix, here = (" timer", "") if which == "timer" else ("", " here")
    said = f"There is no {name}{suffix}{here}."
    if len(there) == 1:
        said += f" There is only the {there[0]}{suffix}."
    elif there:
        said += f" The {which}s are {listed(there)}."
    if talk.knows and which != "timer":
        talk.messages.append(Message(role="user", content=joined(rng, [wanted])))
        talk.say(said, _looked(talk, which, name), Abstain())
        return
    talk.call(joined(rng, [wanted]), calling(talk.thinks, [wanted]))
    if not stops:
        _refused(talk, wanted.call, said, f"There is no {name}{suffix}. I say so.", Abstain())


def _looked(talk: _Talk, which: str, name: str) -> str:
    """The list is gone through before anything is decided."""
    there = list(talk.home.lights if which == "room" else talk.home.locked)
    lead = f"The {which}s are {listed(there)}." if len(there) > 1 else f"The only {which} is the {there[0]}."
    return f"{lead} The {name} is {'there' if name in there else 'not there'}."


def _small_talk(talk: _Talk, stops: bool) -> None:
    """A greeting or thanks in between. Mutates talk."""
    said, answer = talk.rng.choice((smalltalk.greeting, smalltalk.thanks, smalltalk.about_mambino))(talk.rng)
    talk.messages.append(Message(role="user", content=said))
    talk.say(answer, "I can answer this without a tool.", NoCall())


def _impossible(talk: _Talk, stops: bool) -> None:
    """A light or a temperature out of range. Mutates talk."""
    rng = talk.rng
    if rng.random() < 0.5:
        room = rng.choice(list(talk.home.lights))
        kind = replace(LIGHT, forms=LIGHT.forms[:1])
        wanted = wish(rng, talk.split, _usual(kind), known={"room": room, "level": rng.randint(101, 300)})
        said = f"A light goes from 0 to 100, not {wanted.call.arguments['level']}."
    else:
        degrees = rng.choice((rng.randint(31, 60), rng.randint(0, 4)))
        wanted = wish(rng, talk.split, _usual(THERMOSTAT), known={"degrees": degrees})
        said = f"The thermostat goes from 5 to 30 degrees, not {degrees}."
    talk.call(joined(rng, [wanted]), calling(talk.thinks, [wanted]))
    if not stops:
        facts = (("from 0 to 100", "from 5 to 30"),)
        _refused(talk, wanted.call, f"That is not possible. {said}", "It failed. I say why.", Says(facts=facts))


def _refused(talk: _Talk, call: ToolCall, said: str, reason: str, check: Check) -> None:
    outcome = _ACTIONS[call.name](talk.home, call.arguments)
    talk.result(f"Error: {outcome.text}", call)
    talk.say(said, reason, check)


def _usual(kind: ToolKind) -> Offered:
    """As home_tools names it."""
    return Offered(kind=kind, name=kind.names[0], keys={param.slot: param.names[0] for param in kind.params})
