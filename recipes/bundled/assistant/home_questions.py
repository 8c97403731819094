# ruff: noqa: E501 - phrasings are data here, one set of alternatives a line
"""Questions about the state of a home, with their answers. Start at ask."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mambino.worlds.home import Home
from recipes.bundled.assistant.lexicon import listed
from recipes.bundled.assistant.row import Split
from recipes.bundled.grammar import expand


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """line: the part of the home's description that decides; facts: wordings of what the answer must hold."""

    question: str
    answer: str
    line: str
    facts: tuple[tuple[str, ...], ...]


QUESTIONS: Mapping[str, Mapping[Split, str]] = {
    "light": {"train": "[Is the {room} light on|Is the light in the {room} on|Did I leave the {room} light on|Is the {room} light off|I want to know if the {room} light is on|Is there light in the {room}|Say if the {room} light is on|Could you look whether the {room} light is on|Has somebody left the {room} light on|Is anything lit in the {room}|Is it dark in the {room}|Does the light in the {room} burn|Check the {room} light: is it on|The {room} light: on or off|What about the light in the {room}|Is the {room} lit|Tell me about the {room} light|In what state is the {room} light]?", "held_out": "[Is the light still on in the {room}|How is the {room} light]?"},
    "level": {"train": "[How bright is the {room} light|How bright is it in the {room}|What level is the {room} light|How much light is there in the {room}|At what level is the {room} light|Tell me how bright the {room} light is|To how many percent is the {room} light set|What percent is the {room} light at|How strong is the light in the {room}|Which level does the {room} light have|How far is the {room} light turned up|Say the level of the {room} light|The {room} light: how bright|Brightness of the {room} light]?", "held_out": "[What is the level of the light in the {room}|How bright is the light in the {room}]?"},
    "temperature": {"train": "[How warm is it in the {room}|How warm is the {room}|What is the temperature in the {room}|How cold is the {room}|Say how warm it is in the {room}|Which temperature is it in the {room}|How many degrees does the {room} have|Is it cold in the {room}|Is it warm enough in the {room}|I want to know how warm the {room} is|What is it like in the {room}, warm or cold|How many degrees is it in the {room}|What does the thermometer in the {room} say|The {room}: how warm|Could you check the temperature in the {room}|Can you see how warm it is in the {room}|What temperature do we have in the {room}|Tell me the temperature of the {room}]?", "held_out": "[What temperature does the {room} have|Tell me how warm the {room} is]?"},
    "door": {"train": "[Is the {door} locked|Is the {door} open|Did I lock the {door}|Did I forget to lock the {door}|Is the {door} closed|I want to know if the {door} is locked|Say if the {door} is locked|Is the {door} shut|Could somebody come in through the {door}|Has anyone locked the {door}|Have I locked the {door}|The {door}: locked or not|Can you check the {door}|Is the {door} safe|Let me know if the {door} is locked|Check if the {door} is still locked|What about the {door}, is it locked|In what state is the {door}|Did somebody unlock the {door}]?", "held_out": "[Tell me if the {door} is locked|Is the {door} unlocked]?"},
    "time": {"train": "[What time is it|How late is it|Tell me the time|What is the time|Say what time it is|Which time is it|I want to know the time|Can you tell me the time|How late is it by now|What hour is it|Do you know how late it is|Is it late already|The time, please|Give me the time|What time do we have|Have a look at the clock|I need the time|Could you say how late it is]?", "held_out": "[Do you have the time|What does the clock say]?"},
    "target": {"train": "[What is the thermostat set to|What is the heating set to|How many degrees is the thermostat set to|What is the target of the heating|Which temperature should the heating reach|To what is the thermostat set|What temperature did I set|How warm will the house be|What is the heating aiming for|At how many degrees is the heating|What did we set the thermostat to|How is the heating set|How high is the thermostat|Tell me what the thermostat is set to|Which target does the thermostat have|I want to know what the heating is set to|Say where the heating should get to]?", "held_out": "[Where is the thermostat set|What temperature is the thermostat set to]?"},
    "timer": {"train": "[How long does the {label} timer still run|How many minutes are left for the {label} timer|When does the {label} timer ring|How much time is left for {label}|When does the timer for {label} ring|Say how long the {label} timer still has|How much is left of the {label} timer|How many minutes does the {label} timer have|Does the {label} timer ring soon|Is the {label} timer nearly finished|Tell me about the {label} timer|How far is the {label} timer|The {label} timer: how long still|How much longer for {label}|When will the {label} timer go off|Check the {label} timer|When do I have to look after the {label}|How long until the {label} timer rings|What does the {label} timer say]?", "held_out": "[What is left on the {label} timer|When is the {label} timer done]?"},
    "lights": {"train": "[Which lights are on|Are there lights on|What lights are on|Did I leave a light on|Say which lights are on|Is any light on|In which rooms is the light on|Which lamps are burning|Did anyone leave the lights on|Where is light|Where did I leave the light on|List the lights that are on|In what rooms is there light|Is there a light on somewhere|Are all the lights off|Did we switch off all the lights|Check if a light is on|Are there any rooms with the light on|Where is the light on]?", "held_out": "[Are any lights still on|Tell me which lights are on]?"},
}  # fmt: skip


def ask(rng: random.Random, split: Split, home: Home) -> Asked:
    """A question that home answers."""
    kind = rng.choice([kind for kind in QUESTIONS if kind != "timer" or home.timers])
    slots, line, answer, facts = _ANSWERS[kind](rng, home)
    return Asked(question=expand(QUESTIONS[kind][split], slots, rng), answer=answer, line=line, facts=facts)


_Found = tuple[dict[str, str], str, str, tuple[tuple[str, ...], ...]]


def _light(rng: random.Random, home: Home) -> _Found:
    room = rng.choice(list(home.lights))
    level = home.lights[room]
    state = f"at {level} percent" if level else "off"
    return (
        {"room": room},
        f"{room}: light {f'at {level} %' if level else 'off'}",
        f"The {room} light is {state}.",
        ((state, state.replace(" percent", " %")),),
    )


def _temperature(rng: random.Random, home: Home) -> _Found:
    room = rng.choice(list(home.temperatures))
    degrees = f"{home.temperatures[room]:.1f}"
    return {"room": room}, f"{room}: {degrees} degrees", f"It is {degrees} degrees in the {room}.", ((degrees,),)


def _door(rng: random.Random, home: Home) -> _Found:
    door = rng.choice(list(home.locked))
    state = "locked" if home.locked[door] else "unlocked"
    return {"door": door}, f"{door}: {state}", f"The {door} is {state}.", ((f" {state}",),)


def _time(rng: random.Random, home: Home) -> _Found:
    return {}, f"It is {home.time_text()}", f"It is {home.time_text()}.", ((home.time_text(),),)


def _target(rng: random.Random, home: Home) -> _Found:
    degrees = f"{home.target:g}"
    return (
        {},
        f"the thermostat is set to {degrees} degrees",
        f"The thermostat is set to {degrees} degrees.",
        ((degrees,),),
    )


def _timer(rng: random.Random, home: Home) -> _Found:
    timer = rng.choice(home.timers)
    left = timer.ends_at - home.clock
    return (
        {"label": timer.label},
        f"timer {timer.label}: {left} min left",
        f"The {timer.label} timer rings in {left} minutes.",
        ((f"{left} min",),),
    )


def _lights(rng: random.Random, home: Home) -> _Found:
    lit = [room for room, level in home.lights.items() if level]
    if not lit:
        return {}, "all lights are off", "No light is on.", (("no light", "all lights are off"),)
    answer = f"The light is on in the {listed(lit)}."
    return (
        {},
        ", ".join(f"{room} light at {home.lights[room]} %" for room in lit),
        answer,
        tuple((room,) for room in lit),
    )


_ANSWERS: Mapping[str, Callable[[random.Random, Home], _Found]] = {
    "light": _light, "level": _light, "temperature": _temperature, "door": _door, "time": _time, "target": _target,
    "timer": _timer, "lights": _lights,
}  # fmt: skip
