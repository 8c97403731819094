"""Tools of one device, made on the spot: nobody can know them by heart. Start at device_kind."""

import random

from recipes.bundled.assistant.lexicon import LEXICONS
from recipes.bundled.assistant.row import Split
from recipes.bundled.assistant.tool_kinds import Form, Param, ToolKind
from recipes.bundled.grammar import capital


def device_kind(rng: random.Random, split: Split, device: str) -> ToolKind:
    """A tool of one device, such as set_fan(speed), start_oven(), move_lamp(room)."""
    setting = rng.choice(LEXICONS[split].settings)
    spelling = device.replace(" ", "_")
    which = rng.randrange(4)
    if which == 0:
        form = Form(
            train=(f"!set the {setting} of the {device} to {{level}}", f"!turn the {device} {setting} to {{level}}",
                   f"{device} {setting} {{level}}", f"I want the {setting} of the {device} at {{level}}.",
                   f"!bring the {device} {setting} to {{level}}", f"The {setting} of the {device} must be {{level}}.",
                   f"I need {{level}} as the {setting} of the {device}.", f"!let the {device} {setting} be {{level}}"),
            held_out=(f"!put the {setting} of the {device} at {{level}}",
                      f"The {device} {setting} should be {{level}}."),
            done=f"The {setting} of the {device} is {{level}}.",
            said=f"The {setting} of the {device} is at {{level}}.",
        )  # fmt: skip
        param = Param(names=(setting, "value", "number", "to"), type="integer", slot="level")
        names = (f"set_{spelling}", f"{spelling}_{setting}", f"change_{spelling}")
        return ToolKind(names=names, about=f"Set the {setting} of the {device}.", params=(param,), forms=(form,))
    if which == 1:
        form = Form(
            train=(f"!bring the {device} to the {{room}}", f"!move the {device} to the {{room}}",
                   f"I want the {device} in the {{room}}.", f"!carry the {device} to the {{room}}",
                   f"I need the {device} in the {{room}}.", f"The {device} belongs in the {{room}}.",
                   f"!put the {device} in the {{room}}"),
            held_out=(f"!take the {device} to the {{room}}", f"The {device} should be in the {{room}}."),
            done=f"The {device} is in the {{room}}.", said=f"The {device} is in the {{room}} now.",
        )  # fmt: skip
        param = Param(names=("room", "place", "where", "to"), type="string", slot="room")
        names = (f"move_{spelling}", f"bring_{spelling}", f"{spelling}_to")
        return ToolKind(names=names, about=f"Bring the {device} to a room.", params=(param,), forms=(form,))
    verb, done = rng.choice(
        (("start", "on"), ("stop", "off"), ("clean", "clean"), ("check", "fine"), ("reset", "reset"))
    )
    form = Form(
        train=(f"!{verb} the {device}", f"I want to {verb} the {device}.", f"I need to {verb} the {device}.",
               f"!try to {verb} the {device}", f"It would be good to {verb} the {device}.",
               f"You should {verb} the {device}.", f"Time to {verb} the {device}."),
        held_out=(f"It is time to {verb} the {device}.", f"!go and {verb} the {device}"),
        done=f"The {device} is {done}.", said=f"The {device} is {done}.",
    )  # fmt: skip
    return ToolKind(
        names=(f"{verb}_{spelling}", f"{spelling}_{verb}"), about=f"{capital(verb)} the {device}.", forms=(form,)
    )
